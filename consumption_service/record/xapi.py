"""Record xAPI statements: all of a request or none of it, in one transaction.

A statement that is stored already changes nothing. The statements of a session concern one watch,
which the first of them creates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from consumption_service.event import OutboxEvent
from consumption_service.record.commands import Command, Create, Report
from consumption_service.record.write import record
from consumption_service.record.xapi_statements import ParsedStatement, SessionKey
from consumption_service.tables import idempotency_keys, xapi_sessions
from shared.database.bulk import insert_new_rows
from shared.database.database import Database
from shared.errors import Conflict, Invalid
from shared.uuid7 import new_id


@dataclass(frozen=True, slots=True)
class NewStatement:
    """A statement to record, with what tells it from others."""

    id: UUID
    digest: bytes
    parsed: ParsedStatement

    @property
    def key(self) -> str:
        """Return the idempotency key under which it is stored."""
        return f"xapi:{self.id}"


async def record_statements(
    statements: Sequence[NewStatement],
    database: Database,
    connection: AsyncConnection,
    now: datetime,
) -> tuple[None, Sequence[OutboxEvent]]:
    """Record the statements; the caller holds the shared lock.

    Raises `Conflict` when an id is stored with other content, and `Invalid` when a watch would have
    too many segments. Statements about a watch that was deleted are ignored.
    """
    watch_ids, new_sessions = await _watches_of_sessions(statements, connection)
    new = await _insert_new(statements, watch_ids, database, connection, now)
    in_order = sorted(new, key=lambda one: one.parsed.occurred_at or now)
    commands = _commands(in_order, watch_ids, new_sessions)
    ids = [watch_ids[one.parsed.session_key] for one in in_order]
    results, events = await record(commands, database, connection, now, ids)
    for result in results:
        if isinstance(result, Invalid):
            raise result
    return None, events


async def _watches_of_sessions(
    statements: Sequence[NewStatement], connection: AsyncConnection
) -> tuple[Mapping[SessionKey, UUID], set[SessionKey]]:
    """Return the watch of each session, and the sessions that start now."""
    # In sorted order, so that two requests with the same sessions wait in one direction.
    keys = sorted({one.parsed.session_key for one in statements})
    new_sessions = await insert_new_rows(
        connection, xapi_sessions, [(*key, new_id()) for key in keys]
    )
    columns = xapi_sessions.c
    session_key = tuple_(columns.user_id, columns.lesson_id, columns.session)
    rows = await connection.execute(select(xapi_sessions).where(session_key.in_(keys)))
    return {(row.user_id, row.lesson_id, row.session): row.watch_id for row in rows}, new_sessions


async def _insert_new(
    statements: Sequence[NewStatement],
    watch_ids: Mapping[SessionKey, UUID],
    database: Database,
    connection: AsyncConnection,
    now: datetime,
) -> list[NewStatement]:
    """Store the keys of the statements; return those that were not stored before."""
    by_key = {one.key: one for one in statements}
    rows = [
        (key, watch_ids[one.parsed.session_key], one.digest, now, one.parsed.user_id)
        for key, one in sorted(by_key.items())
    ]
    new = await insert_new_rows(connection, idempotency_keys, rows)
    key = idempotency_keys.c.key
    query = select(key, idempotency_keys.c.digest).where(database.is_any_of(key, list(by_key)))
    digests = {row.key: row.digest for row in await connection.execute(query)}
    for one in statements:
        if digests[one.key] != one.digest:
            raise Conflict(f"Statement {one.id} is known, with other content.")
    return [one for key, one in by_key.items() if (key,) in new]


def _commands(
    statements: Sequence[NewStatement],
    watch_ids: Mapping[SessionKey, UUID],
    new_sessions: set[SessionKey],
) -> list[Command]:
    """Return a command for each statement: the first of a new session creates the watch."""
    commands: list[Command] = []
    for statement in statements:
        one = statement.parsed
        if one.session_key in new_sessions:
            new_sessions.remove(one.session_key)
            commands.append(_create(one))
        else:
            watch_id = watch_ids[one.session_key]
            commands.append(Report(watch_id, one.position, one.occurred_at, one.segments))
    return commands


def _create(one: ParsedStatement) -> Create:
    return Create(
        one.user_id, one.lesson_id, one.position, one.duration, one.occurred_at, None, one.segments
    )
