"""Record many commands in one transaction, each with a result and an event of its own.

All rows that the commands concern are read and locked first; then each command is decided in
memory, in order; then all changes are written together. So two reports of one watch in a group have
the same effect as one after the other.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from consumption_service.event import OutboxEvent, Watch
from consumption_service.query.watches import SELECT_WATCHES
from consumption_service.record.commands import Command, CommandResult, Create, Delete, Report
from consumption_service.record.decide import Claim, Group
from consumption_service.tables import idempotency_keys, outbox, watches
from shared.database.bulk import insert_rows
from shared.database.database import Database
from shared.uuid7 import new_id

MUTABLE: Final = ("position", "reported_at", "recorded_at", "furthest", "segments", "unsegmented")


async def record(
    commands: Sequence[Command],
    database: Database,
    connection: AsyncConnection,
    now: datetime,
    ids: Sequence[UUID] | None = None,
) -> tuple[list[CommandResult], list[OutboxEvent]]:
    """Carry out the commands; return their results, in order, and the events to publish.

    `ids` has an id for each command, for the watch that it may create; by default new ones.
    The caller holds the shared lock.
    """
    group = Group(now)
    ids = ids or [new_id() for _ in commands]
    await _claim_keys(group, database, connection, list(zip(commands, ids, strict=True)))
    stored = {command.watch_id for command in commands if isinstance(command, Report | Delete)}
    stored |= {claim.watch_id for claim in group.claims.values()} - set(ids)
    await _read_watches(group, database, connection, stored)
    results = [group.decide(command, id_) for command, id_ in zip(commands, ids, strict=True)]
    await _write(group, connection)
    return results, group.events


async def _claim_keys(
    group: Group,
    database: Database,
    connection: AsyncConnection,
    commands: Sequence[tuple[Command, UUID]],
) -> None:
    """Claim every key that is free, and read what the others stand for."""
    keys = {
        command.key: {
            "key": command.key,
            "watch_id": watch_id,
            "digest": command.digest(),
            "recorded_at": group.now,
            "user_id": command.user_id,
        }
        for command, watch_id in reversed(commands)  # the first command with a key claims it
        if isinstance(command, Create) and command.key
    }
    if not keys:
        return
    insert_if_free = sqlite.insert if database.is_sqlite else postgresql.insert
    # In sorted order, so that two groups with the same keys wait for each other in one direction.
    rows = [keys[key] for key in sorted(keys)]
    await connection.execute(insert_if_free(idempotency_keys).on_conflict_do_nothing(), rows)
    key = idempotency_keys.c.key
    query = select(key, idempotency_keys.c.watch_id, idempotency_keys.c.digest)
    for row in await connection.execute(query.where(database.is_any_of(key, list(keys)))):
        group.claims[row.key] = Claim(row.watch_id, row.digest)


async def _read_watches(
    group: Group, database: Database, connection: AsyncConnection, ids: Collection[UUID]
) -> None:
    """Read and lock the stored watches that the commands concern."""
    if not ids:
        return
    query = SELECT_WATCHES.where(database.is_any_of(watches.c.id, ids))
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
    changes = {name: getattr(watch, name) for name in MUTABLE}
    await connection.execute(update(watches).where(watches.c.id == watch_id).values(changes))
