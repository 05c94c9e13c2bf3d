"""Curriculum: what comes next in a course, for somebody who finished part of it."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.learn.lessons import LessonState
from recommendation_service.tables import learned_watches
from shared.database.database import Database
from shared.ids import LessonId, UserId

FINISHED: Final = 0.9  # the part of a lesson after which it is finished


def next_in_course(
    course: Sequence[LessonState],
    lesson_id: LessonId,
    out: Collection[LessonId],
    *,
    around: bool,
) -> LessonId | None:
    """Return the lesson that comes after this one in its course, but for some.

    `around`: after the last one it is the first that was left out.
    """
    ids = [state.lesson_id for state in course]
    place = ids.index(lesson_id) if lesson_id in ids else len(ids)
    coming = (*ids[place + 1 :], *(ids[:place] if around else ()))
    return next((one for one in coming if one not in out), None)


async def finished_by(
    database: Database,
    connection: AsyncConnection,
    user_id: UserId,
    durations: dict[LessonId, int | None],
) -> set[LessonId]:
    """Return which of these lessons, of a known or unknown duration, the user finished.

    Where no duration is known, a lesson that was begun counts as finished.
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
        if furthest >= FINISHED * (durations[lesson_id] or duration or 0)
    }
