"""Queries of completion percentages: the share of a lesson to watch until it is finished."""

from sqlalchemy import delete, select

from consumption_service.tables import completions
from shared.database.bulk import upsert_rows
from shared.database.database import Database
from shared.errors import NotFound
from shared.ids import LessonId


async def store_percent(database: Database, lesson_id: LessonId, percent: int) -> None:
    """Store the lesson's own percentage, 1 to 100."""
    async with database.write() as connection:
        await upsert_rows(connection, completions, [(lesson_id, percent)])


async def find_percent(database: Database, lesson_id: LessonId) -> int:
    """Return the lesson's own percentage, or raise `NotFound`."""
    query = select(completions.c.percent).where(completions.c.lesson_id == lesson_id)
    async with database.read() as connection:
        percent: int | None = await connection.scalar(query)
    if percent is None:
        raise _not_found(lesson_id)
    return percent


async def delete_percent(database: Database, lesson_id: LessonId) -> None:
    """Delete the lesson's own percentage, or raise `NotFound`: the default is valid again."""
    query = delete(completions).where(completions.c.lesson_id == lesson_id)
    async with database.write() as connection:
        if not (await connection.execute(query)).rowcount:
            raise _not_found(lesson_id)


def _not_found(lesson_id: LessonId) -> NotFound:
    return NotFound(f"Lesson {lesson_id} has no percentage of its own.")
