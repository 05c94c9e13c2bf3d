"""Decide what each command of a group does: pure, without database, clock and I/O."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from consumption_service.event import OutboxEvent, Watch, event_of
from consumption_service.record.commands import (
    Command,
    CommandResult,
    Create,
    Delete,
    Report,
    Success,
)
from consumption_service.segments import merge_segments
from shared.errors import Conflict, Invalid, NotFound
from shared.events import Kind
from shared.uuid7 import new_id

MAX_SEGMENTS: Final = 10_000  # of a watch: every other second of five hours


@dataclass(frozen=True, slots=True)
class Claim:
    """The watch that an idempotency key stands for, and the digest of its command."""

    watch_id: UUID
    digest: bytes


@dataclass(slots=True)
class Group:
    """The changes and events that the commands of one transaction have led to so far."""

    began: datetime
    watches: dict[UUID, Watch | None] = field(default_factory=dict)  # None: deleted by this group
    claims: dict[str, Claim] = field(default_factory=dict)  # by idempotency key
    created: list[UUID] = field(default_factory=list)
    touched: set[UUID] = field(default_factory=set)  # stored before, and changed by this group
    events: list[OutboxEvent] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        """Return the time of the next event.

        Each event has its own time, so an answer that includes every event until a time need not
        include the next one.
        """
        return self.began + timedelta(microseconds=len(self.events))

    def decide(self, command: Command, new_watch_id: UUID) -> CommandResult:
        """Apply the command after all earlier ones of the group; return its result."""
        if isinstance(command, Create):
            return self._create(command, new_watch_id)
        watch = self.watches.get(command.watch_id)
        if watch is None or command.owner_id not in (None, watch.user_id):
            return NotFound(f"There is no watch {command.watch_id}.")
        return (
            self._report(watch, command)
            if isinstance(command, Report)
            else self._delete(watch, command)
        )

    def _create(self, command: Create, watch_id: UUID) -> CommandResult:
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
            segments=None if command.segments is None else merge_segments(command.segments),
        )
        self.watches[watch_id] = watch
        self.created.append(watch_id)
        self.events.append(event_of(watch_id, Kind.CREATED, watch, command.traceparent))
        return Success(watch, changed=True)

    def _replay(self, command: Create, claim: Claim) -> CommandResult:
        if claim.digest != command.digest():
            return Conflict("This Idempotency-Key was used before, with other content.")
        watch = self.watches.get(claim.watch_id)
        if watch is None:
            return Conflict("The watch of this Idempotency-Key was deleted since.")
        return Success(watch, changed=False)

    def _report(self, watch: Watch, report: Report) -> CommandResult:
        after = _with_report(watch, report)
        reported_at = report.occurred_at or self.now
        moves = (reported_at, report.position) > (watch.reported_at, watch.position)
        if moves:
            after = after._replace(position=report.position, reported_at=reported_at)
        if after == watch:
            return Success(watch, changed=False)
        if after.segments and len(after.segments) > MAX_SEGMENTS:
            return Invalid(f"A watch holds {MAX_SEGMENTS:,} separate segments at most.")
        after = after._replace(recorded_at=self.now)
        self._change(watch.id, after)
        self.events.append(event_of(new_id(), Kind.UPDATED, after, report.traceparent))
        return Success(after, changed=moves)

    def _delete(self, watch: Watch, command: Delete) -> CommandResult:
        self._change(watch.id, None)
        deleted = watch._replace(recorded_at=self.now)
        self.events.append(event_of(new_id(), Kind.DELETED, deleted, command.traceparent))
        return Success(watch, changed=True)

    def _change(self, watch_id: UUID, watch: Watch | None) -> None:
        self.watches[watch_id] = watch
        self.touched.add(watch_id)


def _with_report(watch: Watch, report: Report) -> Watch:
    """Return the watch with what the report adds to the seen part, the same in any order."""
    furthest = max(watch.furthest, report.position)
    if report.segments is None:
        unsegmented = watch.unsegmented
        if watch.segments is not None:
            unsegmented = max(unsegmented or 0, report.position)
        return watch._replace(furthest=furthest, unsegmented=unsegmented)
    unsegmented = watch.unsegmented if watch.segments is not None else watch.furthest
    segments = merge_segments([*(watch.segments or []), *report.segments])
    return watch._replace(furthest=furthest, segments=segments, unsegmented=unsegmented)
