"""Stored meetings: when each user first met each lesson, as rows."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.merge import Pair
from recommendation_service.model.history import Bounds
from recommendation_service.tables import learned_watches, meetings
from shared.bulk import upsert_rows
from shared.database import Database
from shared.events import LessonId

First = datetime | None  # when a user first met a lesson; None: not at all


async def known_meetings(
    database: Database, connection: AsyncConnection, pairs: Collection[Pair]
) -> dict[Pair, First]:
    """Return the stored meetings of at least these pairs."""
    if not pairs:
        return {}
    query = select(meetings.c.user_id, meetings.c.lesson_id, meetings.c.met_at).where(
        database.among(meetings.c.user_id, {pair.user_id for pair in pairs}),
        database.among(meetings.c.lesson_id, {pair.lesson_id for pair in pairs}),
    )
    rows = await connection.execute(query)
    return {Pair(row.user_id, row.lesson_id): row.met_at for row in rows}


async def first_watches(
    database: Database, connection: AsyncConnection, pairs: Collection[Pair]
) -> dict[Pair, First]:
    """Look up the earliest remaining watch of each pair, None when nothing remains."""
    if not pairs:
        return {}
    watch = learned_watches.c
    first = func.min(watch.occurred_at, type_=watch.occurred_at.type)
    query = (
        select(
            watch.user_id,
            watch.lesson_id,
            first,
        )
        .where(
            database.among(watch.user_id, {pair.user_id for pair in pairs}),
            database.among(watch.lesson_id, {pair.lesson_id for pair in pairs}),
            watch.deleted.is_(False),
        )
        .group_by(watch.user_id, watch.lesson_id)
    )
    found = {Pair(user, lesson): time for user, lesson, time in await connection.execute(query)}
    return {pair: found.get(pair) for pair in pairs}


async def write_meetings(connection: AsyncConnection, changed: Mapping[Pair, First]) -> None:
    """Store when pairs first met; None removes the meeting."""
    met = [(*pair, time) for pair, time in changed.items() if time]
    await upsert_rows(connection, meetings, sorted(met))
    for pair in (pair for pair, time in changed.items() if time is None):
        this_one = (meetings.c.user_id == pair.user_id, meetings.c.lesson_id == pair.lesson_id)
        await connection.execute(delete(meetings).where(*this_one))


async def bounds_of(
    database: Database, connection: AsyncConnection, lessons: Collection[LessonId]
) -> dict[LessonId, Bounds | None]:
    """Look up when the lessons were first and last met, None for one that nobody meets."""
    # One look at each end of the index for each lesson, however many users met it.
    lesson_id = database.listed(meetings.c.lesson_id, lessons).c.value
    met_at = meetings.c.met_at
    first, last = (
        select(function(met_at, type_=met_at.type))
        .where(meetings.c.lesson_id == lesson_id)
        .scalar_subquery()
        for function in (func.min, func.max)
    )
    found = await connection.execute(select(lesson_id, first, last))
    return {
        lesson: (first.timestamp(), last.timestamp()) if first and last else None
        for lesson, first, last in found
    }
