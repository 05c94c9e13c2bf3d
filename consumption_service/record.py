"""Record: many commands in one transaction, each with its own outcome and its event.

All rows that the commands are about are read and locked first; then each command is decided in
memory, in order; then everything is written at once. So a watch reported twice in one group is
handled as if the reports had come one after the other.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from consumption_service.commands import (
    Command,
    Create,
    Delete,
    Done,
    OutboxEvent,
    Outcome,
    Report,
    Watch,
    event_of,
)
from consumption_service.find import STORED
from consumption_service.segments import merged
from consumption_service.tables import idempotency_keys, outbox, watches
from shared.bulk import insert_rows
from shared.database import Database
from shared.errors import Conflict, Invalid, NotFound
from shared.events import Kind
from shared.identifiers import new_id

MOST_SEGMENTS: Final = 10_000  # of a watch; more would be every other second of five hours


@dataclass(frozen=True, slots=True)
class Claim:
    """Which watch an idempotency key stands for."""

    watch_id: UUID
    digest: bytes


@dataclass(slots=True)
class Group:
    """The commands of one transaction, and what they amount to so far."""

    began: datetime
    watches: dict[UUID, Watch | None] = field(default_factory=dict)  # None: deleted by this group
    claims: dict[str, Claim] = field(default_factory=dict)
    created: list[UUID] = field(default_factory=list)
    touched: set[UUID] = field(default_factory=set)  # stored before, changed by this group
    events: list[OutboxEvent] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        """Return the time of the next event, which it has for its own.

        So an answer that knows what was recorded until then need not know the one after.
        """
        return self.began + timedelta(microseconds=len(self.events))

    def decide(self, command: Command, new_watch_id: UUID) -> Outcome:
        """Return what comes of the command, given all that came before it."""
        if isinstance(command, Create):
            return self._create(command, new_watch_id)
        watch = self.watches.get(command.watch_id)
        if watch is None or command.only_of not in (None, watch.user_id):
            return NotFound(f"There is no watch {command.watch_id}.")
        return (
            self._report(watch, command)
            if isinstance(command, Report)
            else self._delete(watch, command)
        )

    def _create(self, command: Create, watch_id: UUID) -> Outcome:
        claim = self.claims.get(command.key) if command.key else None
        if claim and claim.watch_id != watch_id:
            return self._replay(command, claim)
        now = self.now
        occurred_at = command.occurred_at or now
        watch = Watch(
            watch_id,
            command.user_id,
            command.lesson_id,
            command.position,
            command.duration,
            occurred_at=occurred_at,
            reported_at=occurred_at,
            recorded_at=now,
            furthest=command.position,
            segments=None if command.segments is None else merged(command.segments),
        )
        self.watches[watch_id] = watch
        self.created.append(watch_id)
        self.events.append(event_of(watch_id, Kind.CREATED, watch, command.traceparent))
        return Done(watch, changed=True)

    def _replay(self, command: Create, claim: Claim) -> Outcome:
        if claim.digest != command.digest():
            return Conflict("This Idempotency-Key was used before, with other content.")
        watch = self.watches.get(claim.watch_id)
        if watch is None:
            return Conflict("The watch of this Idempotency-Key was deleted since.")
        return Done(watch, changed=False)

    def _report(self, watch: Watch, report: Report) -> Outcome:
        after = _seen_more(watch, report)
        reported_at = report.occurred_at or self.now
        moves = (reported_at, report.position) > (watch.reported_at, watch.position)
        if moves:
            after = after._replace(position=report.position, reported_at=reported_at)
        if after == watch:
            return Done(watch, changed=False)
        if after.segments and len(after.segments) > MOST_SEGMENTS:
            return Invalid(f"A watch holds {MOST_SEGMENTS:,} separate segments at most.")
        after = after._replace(recorded_at=self.now)
        self._change(watch.id, after)
        self.events.append(event_of(new_id(), Kind.UPDATED, after, report.traceparent))
        return Done(after, changed=moves)

    def _delete(self, watch: Watch, command: Delete) -> Outcome:
        self._change(watch.id, None)
        gone = watch._replace(recorded_at=self.now)
        self.events.append(event_of(new_id(), Kind.DELETED, gone, command.traceparent))
        return Done(watch, changed=True)

    def _change(self, watch_id: UUID, watch: Watch | None) -> None:
        self.watches[watch_id] = watch
        self.touched.add(watch_id)


def _seen_more(watch: Watch, report: Report) -> Watch:
    """Return the watch with what the report adds to what was seen: the same in any order."""
    furthest = max(watch.furthest, report.position)
    if report.segments is None:
        unsegmented = watch.unsegmented
        if watch.segments is not None:
            unsegmented = max(unsegmented or 0, report.position)
        return watch._replace(furthest=furthest, unsegmented=unsegmented)
    unsegmented = watch.unsegmented if watch.segments is not None else watch.furthest
    segments = merged([*(watch.segments or []), *report.segments])
    return watch._replace(furthest=furthest, segments=segments, unsegmented=unsegmented)


async def record(
    database: Database,
    connection: AsyncConnection,
    commands: Sequence[Command],
    now: datetime,
    ids: Sequence[UUID] | None = None,
) -> tuple[list[Outcome], list[OutboxEvent]]:
    """Carry out the commands, and return their outcomes, in order, and the events to announce.

    The ids are those of the watches to be created, a place for each command; by default new ones.
    """
    group = Group(now)
    ids = ids or [new_id() for _ in commands]
    await _claim_keys(group, database, connection, list(zip(commands, ids, strict=True)))
    stored = {command.watch_id for command in commands if isinstance(command, Report | Delete)}
    stored |= {claim.watch_id for claim in group.claims.values()} - set(ids)
    await _read_watches(group, database, connection, stored)
    outcomes = [group.decide(command, id_) for command, id_ in zip(commands, ids, strict=True)]
    await _write(group, connection)
    return outcomes, group.events


async def _claim_keys(
    group: Group,
    database: Database,
    connection: AsyncConnection,
    commands: Sequence[tuple[Command, UUID]],
) -> None:
    """Take every key that is free, and learn what the others stand for."""
    wanted = {
        command.key: {
            "key": command.key,
            "watch_id": watch_id,
            "digest": command.digest(),
            "recorded_at": group.now,
            "user_id": command.user_id,
        }
        for command, watch_id in reversed(commands)  # the first command with a key takes it
        if isinstance(command, Create) and command.key
    }
    if not wanted:
        return
    insert_if_free = sqlite.insert if database.is_sqlite else postgresql.insert
    # In sorted order, so that two groups with the same keys wait for each other in one direction.
    rows = [wanted[key] for key in sorted(wanted)]
    await connection.execute(insert_if_free(idempotency_keys).on_conflict_do_nothing(), rows)
    key = idempotency_keys.c.key
    query = select(key, idempotency_keys.c.watch_id, idempotency_keys.c.digest)
    for row in await connection.execute(query.where(database.among(key, list(wanted)))):
        group.claims[row.key] = Claim(row.watch_id, row.digest)


async def _read_watches(
    group: Group, database: Database, connection: AsyncConnection, ids: Collection[UUID]
) -> None:
    """Read and lock the stored watches that the commands are about."""
    if not ids:
        return
    query = STORED.where(database.among(watches.c.id, ids))
    for row in await connection.execute(query.order_by(watches.c.id).with_for_update()):
        group.watches[row.id] = Watch(*row)


async def _write(group: Group, connection: AsyncConnection) -> None:
    new = [watch for id_ in group.created if (watch := group.watches[id_])]
    await insert_rows(connection, {watches: new, outbox: group.events})
    for watch_id in sorted(group.touched):
        await _write_change(connection, watch_id, group.watches[watch_id])


async def _write_change(connection: AsyncConnection, watch_id: UUID, watch: Watch | None) -> None:
    if watch is None:
        await connection.execute(delete(watches).where(watches.c.id == watch_id))
        return
    changes = {
        "position": watch.position,
        "reported_at": watch.reported_at,
        "recorded_at": watch.recorded_at,
        "furthest": watch.furthest,
        "segments": watch.segments,
        "unsegmented": watch.unsegmented,
    }
    await connection.execute(update(watches).where(watches.c.id == watch_id).values(changes))
