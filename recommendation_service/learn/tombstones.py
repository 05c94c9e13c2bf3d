"""Tombstones: when each user was erased. Watches recorded until then do not count."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.event import Event
from recommendation_service.tables import erased_users, model_state
from shared.database.bulk import insert_new_rows
from shared.database.database import Database
from shared.events import UserErased
from shared.ids import UserId


async def set_tombstone(connection: AsyncConnection, erasure: UserErased) -> None:
    """Set the tombstone of a user, or move it to a later time."""
    row = erasure.user_id, erasure.erased_at
    if await insert_new_rows(connection, erased_users, [row]):
        more = model_state.c.erased_users + 1
        await connection.execute(update(model_state).values(erased_users=more))
    earlier = erased_users.c.erased_at < erasure.erased_at
    this_one = update(erased_users).where(erased_users.c.user_id == erasure.user_id, earlier)
    await connection.execute(this_one.values(erased_at=erasure.erased_at))


def is_not_erased(state: Any) -> ColumnElement[bool]:
    """Return the condition that a watch state, given its columns, counts."""
    erasure = erased_users.c
    of_user = erasure.user_id == state.user_id
    return ~exists().where(of_user, erasure.erased_at >= state.recorded_at)


async def without_erased(
    database: Database, connection: AsyncConnection, events: Sequence[Event]
) -> list[Event]:
    """Return the events that count."""
    erased = await read_tombstones(database, connection, {event.user_id for event in events})
    return [
        event
        for event in events
        if event.user_id not in erased or event.recorded_at > erased[event.user_id]
    ]


async def read_tombstones(
    database: Database, connection: AsyncConnection, users: Collection[UserId]
) -> dict[UserId, datetime]:
    """Return when those of the users who were erased were erased last."""
    query = select(erased_users).where(database.is_any_of(erased_users.c.user_id, users))
    return {row.user_id: row.erased_at for row in await connection.execute(query)}
