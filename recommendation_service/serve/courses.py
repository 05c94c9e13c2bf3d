"""Courses: the next lesson of a course, for a user who finished part of it."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.learn.lessons import LessonState
from recommendation_service.tables import learned_watches
from shared.database.database import Database
from shared.ids import LessonId, UserId

FINISHED_SHARE: Final = 0.9  # of its duration, from which on a lesson counts as finished


def next_in_course(
    course: Sequence[LessonState],
    lesson_id: LessonId,
    excluded: Collection[LessonId],
    *,
    wrap_around: bool,
) -> LessonId | None:
    """Return the next lesson of the course that is not excluded.

    `wrap_around`: after the last lesson follows the first one.
    """
    ids = [state.lesson_id for state in course]
    place = ids.index(lesson_id) if lesson_id in ids else len(ids)
    following = (*ids[place + 1 :], *(ids[:place] if wrap_around else ()))
    return next((one for one in following if one not in excluded), None)


async def read_finished(
    database: Database,
    connection: AsyncConnection,
    user_id: UserId,
    durations: dict[LessonId, int | None],
) -> set[LessonId]:
    """Return which of these lessons the user finished; `durations` are None where unknown.

    If no duration is known, a lesson that was started counts as finished.
    """
    watch = learned_watches.c
    query = (
        select(
            watch.lesson_id,
            func.max(func.coalesce(watch.furthest, watch.position)),
            func.max(watch.duration),
        )
        .where(watch.user_id == user_id, watch.deleted.is_(False))
        .where(database.is_any_of(watch.lesson_id, list(durations)))
        .group_by(watch.lesson_id)
    )
    return {
        lesson_id
        for lesson_id, furthest, duration in await connection.execute(query)
        if furthest >= FINISHED_SHARE * (durations[lesson_id] or duration or 0)
    }
