"""Queries of watches."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import func, select

from consumption_service.event import Watch
from consumption_service.tables import watches
from shared.database.database import Database
from shared.errors import NotFound

FURTHEST: Final = func.coalesce(watches.c.furthest, watches.c.position).label("furthest")
SELECT_WATCHES: Final = select(*(FURTHEST if c is watches.c.furthest else c for c in watches.c))


async def find_watch(database: Database, watch_id: UUID, owner_id: int | None) -> Watch:
    """Return the watch, or raise `NotFound`; an owner finds only their own."""
    async with database.read() as connection:
        row = (await connection.execute(SELECT_WATCHES.where(watches.c.id == watch_id))).first()
    if row is None or owner_id not in (None, row.user_id):
        raise NotFound(f"There is no watch {watch_id}.")
    return Watch(*row)


@dataclass(frozen=True, slots=True)
class WatchFilters:
    """The watches that a list shows."""

    user_id: int | None
    lesson_id: int | None
    before: UUID | None
    limit: int


async def list_watches(database: Database, filters: WatchFilters) -> list[Watch]:
    """Return the watches recorded last, newest first."""
    query = SELECT_WATCHES.order_by(watches.c.id.desc()).limit(filters.limit)
    if filters.user_id is not None:
        query = query.where(watches.c.user_id == filters.user_id)
    if filters.lesson_id is not None:
        query = query.where(watches.c.lesson_id == filters.lesson_id)
    if filters.before is not None:
        query = query.where(watches.c.id < filters.before)
    async with database.read() as connection:
        return [Watch(*row) for row in await connection.execute(query)]
