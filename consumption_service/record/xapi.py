"""Record xAPI statements: all of a request or none of it, in one transaction.

A statement that is stored already changes nothing. The statements of a session are about one watch,
which the first of them begins.
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
from consumption_service.record.xapi_statements import Said
from consumption_service.tables import idempotency_keys, xapi_sessions
from shared.database.bulk import insert_new_rows
from shared.database.database import Database
from shared.errors import Conflict, Invalid
from shared.ids import LessonId, UserId
from shared.uuid7 import new_id

Session = tuple[UserId, LessonId, str]


@dataclass(frozen=True, slots=True)
class Told:
    """A statement about watching, with what tells it from others."""

    id: UUID
    digest: bytes
    said: Said

    @property
    def key(self) -> str:
        """Return under which key it is remembered."""
        return f"xapi:{self.id}"


async def record_statements(
    told: Sequence[Told], database: Database, connection: AsyncConnection, now: datetime
) -> tuple[None, Sequence[OutboxEvent]]:
    """Record the statements.

    Raises `Conflict` when an id is known with other content, and `Invalid` when a watch cannot hold
    what is said of it. What is said of a watch that was deleted is forgotten.
    """
    sessions, begun = await _sessions(told, connection)
    fresh = await _not_known(told, sessions, database, connection, now)
    commit_in_order = sorted(fresh, key=lambda one: one.said.at or now)
    commands = _commands(commit_in_order, sessions, begun)
    ids = [sessions[one.said.watch] for one in commit_in_order]
    outcomes, events = await record(database, connection, commands, now, ids)
    for outcome in outcomes:
        if isinstance(outcome, Invalid):
            raise outcome
    return None, events


async def _sessions(
    told: Sequence[Told], connection: AsyncConnection
) -> tuple[Mapping[Session, UUID], set[Session]]:
    """Return the watch of each session, and which sessions begin now."""
    # In sorted order, so that two requests with the same sessions wait in one direction.
    wanted = sorted({one.said.watch for one in told})
    begun = await insert_new_rows(connection, xapi_sessions, [(*one, new_id()) for one in wanted])
    columns = xapi_sessions.c
    key = tuple_(columns.user_id, columns.lesson_id, columns.session)
    rows = await connection.execute(select(xapi_sessions).where(key.in_(wanted)))
    return {(row.user_id, row.lesson_id, row.session): row.watch_id for row in rows}, begun


async def _not_known(
    told: Sequence[Told],
    sessions: Mapping[Session, UUID],
    database: Database,
    connection: AsyncConnection,
    now: datetime,
) -> list[Told]:
    """Remember the statements, and return those that were not known."""
    by_key = {one.key: one for one in told}
    rows = [
        (key, sessions[one.said.watch], one.digest, now, one.said.user_id)
        for key, one in sorted(by_key.items())
    ]
    new = await insert_new_rows(connection, idempotency_keys, rows)
    key = idempotency_keys.c.key
    query = select(key, idempotency_keys.c.digest).where(database.is_any_of(key, list(by_key)))
    known = {row.key: row.digest for row in await connection.execute(query)}
    for one in told:
        if known[one.key] != one.digest:
            raise Conflict(f"Statement {one.id} is known, with other content.")
    return [one for key, one in by_key.items() if (key,) in new]


def _commands(
    fresh: Sequence[Told], sessions: Mapping[Session, UUID], begun: set[Session]
) -> list[Command]:
    """Return what is to be done: the first statement of a session that begins begins its watch."""
    commands: list[Command] = []
    for one in fresh:
        said = one.said
        if said.watch in begun:
            begun.remove(said.watch)
            commands.append(
                Create(
                    said.user_id,
                    said.lesson_id,
                    said.position,
                    said.duration,
                    said.at,
                    segments=said.segments,
                )
            )
        else:
            commands.append(Report(sessions[said.watch], said.position, said.at, said.segments))
    return commands
