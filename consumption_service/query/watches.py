"""Find: watches as they are stored."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import func, select

from consumption_service.event import Watch
from consumption_service.tables import watches
from shared.database.database import Database
from shared.errors import NotFound

FURTHEST: Final = func.coalesce(watches.c.furthest, watches.c.position).label("furthest")
STORED: Final = select(*(FURTHEST if one is watches.c.furthest else one for one in watches.c))


async def find_watch(database: Database, watch_id: UUID, owner_id: int | None) -> Watch:
    """Return the watch, or raise `NotFound`; to anybody but `owner_id` it is not there."""
    async with database.read() as connection:
        row = (await connection.execute(STORED.where(watches.c.id == watch_id))).first()
    if row is None or owner_id not in (None, row.user_id):
        raise NotFound(f"There is no watch {watch_id}.")
    return Watch(*row)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which watches a list shows."""

    user_id: int | None
    lesson_id: int | None
    before: UUID | None
    limit: int


async def list_watches(database: Database, wanted: Selection) -> list[Watch]:
    """Return the watches recorded last, newest first."""
    query = STORED.order_by(watches.c.id.desc()).limit(wanted.limit)
    if wanted.user_id is not None:
        query = query.where(watches.c.user_id == wanted.user_id)
    if wanted.lesson_id is not None:
        query = query.where(watches.c.lesson_id == wanted.lesson_id)
    if wanted.before is not None:
        query = query.where(watches.c.id < wanted.before)
    async with database.read() as connection:
        return [Watch(*row) for row in await connection.execute(query)]
