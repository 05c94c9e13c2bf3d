"""Hidden lessons: a user does not want to see them, and no list shows them."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.tables import hidden_lessons
from shared.clock import utc_now
from shared.database.database import Database
from shared.errors import Conflict, NotFound
from shared.ids import LessonId, UserId

MAX_HIDDEN: Final = 1000  # lessons of a user: all of them are read for each list


class Hidden(NamedTuple):
    """A lesson that a user hides."""

    lesson_id: LessonId
    hidden_at: datetime


async def add_hidden(database: Database, user_id: UserId, lesson_id: LessonId) -> None:
    """Hide a lesson from a user; idempotent. `Conflict` beyond MAX_HIDDEN lessons."""
    row = {"user_id": user_id, "lesson_id": lesson_id, "hidden_at": utc_now()}
    insert = (sqlite.insert if database.is_sqlite else postgresql.insert)(hidden_lessons)
    count = select(func.count()).where(hidden_lessons.c.user_id == user_id)
    async with database.write() as connection:
        await connection.execute(insert.values(row).on_conflict_do_nothing())
        if (await connection.scalar(count) or 0) > MAX_HIDDEN:
            raise Conflict(f"A user may hide {MAX_HIDDEN:,} lessons, no more.")


async def remove_hidden(database: Database, user_id: UserId, lesson_id: LessonId) -> None:
    """Show a lesson again; `NotFound` when it is not hidden."""
    row = hidden_lessons.c.user_id == user_id, hidden_lessons.c.lesson_id == lesson_id
    async with database.write() as connection:
        deleted = await connection.execute(delete(hidden_lessons).where(*row))
    if not deleted.rowcount:
        raise NotFound(f"User {user_id} does not hide lesson {lesson_id}.")


async def read_hidden(connection: AsyncConnection, user_id: UserId) -> list[Hidden]:
    """Return the lessons that a user hides, by id."""
    query = select(hidden_lessons.c.lesson_id, hidden_lessons.c.hidden_at)
    query = query.where(hidden_lessons.c.user_id == user_id).order_by(hidden_lessons.c.lesson_id)
    return [Hidden(*row) for row in await connection.execute(query)]
