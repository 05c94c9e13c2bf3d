"""Stored meetings: when each user first met each lesson, as rows."""

from array import array
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
from sqlalchemy import ColumnElement, FromClause, Row, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import NullType

from recommendation_service.learn.watch_states import Pair
from recommendation_service.model.fold import Interactions
from recommendation_service.model.history import Bounds
from recommendation_service.tables import learned_watches, meetings
from shared.database.bulk import upsert_rows
from shared.database.database import Database
from shared.ids import LessonId, UserId

AT_ONCE: Final = 2000  # rows that are read before other tasks get their turn
PORTION: Final = 500_000  # meetings that are folded together, about

First = datetime | None  # when a user first met a lesson; None: not at all


async def all_meetings(connection: AsyncConnection) -> AsyncIterator[Interactions]:
    """Return all meetings, portion by portion; those of a user are in one portion."""
    is_sqlite = connection.dialect.name == "sqlite"
    query = (_BY_USER if is_sqlite else _HISTORIES).execution_options(yield_per=AT_ONCE)
    portion = _Portion()
    async with connection.stream(query) as result:
        async for rows in result.partitions():
            for row in rows:
                user_id, times, lesson_ids = _as_history(row) if is_sqlite else row
                if portion.is_full and user_id != portion.users[-1]:
                    yield portion.meetings
                    portion = _Portion()
                portion.add(user_id, times, lesson_ids)
    yield portion.meetings


class _Portion:
    """Meetings of users, side by side as they were read."""

    def __init__(self) -> None:
        self.users = array("q")
        self._lengths = array("q")
        self._lessons = array("q")
        self._times = array("d")

    def add(self, user_id: UserId, times: Sequence[float], lesson_ids: Sequence[LessonId]) -> None:
        self.users.append(user_id)
        self._lengths.append(len(lesson_ids))
        self._times.extend(times)
        self._lessons.extend(lesson_ids)

    @property
    def is_full(self) -> bool:
        return len(self._lessons) >= PORTION

    @property
    def meetings(self) -> Interactions:
        users = np.repeat(self.users, self._lengths)
        return Interactions(users, np.array(self._lessons), np.array(self._times))


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
    await upsert_rows(connection, meetings, rows_of(changed))
    for pair in (pair for pair, time in changed.items() if time is None):
        this_one = (meetings.c.user_id == pair.user_id, meetings.c.lesson_id == pair.lesson_id)
        await connection.execute(delete(meetings).where(*this_one))


def rows_of(met: Mapping[Pair, First]) -> list[tuple[UserId, LessonId, datetime]]:
    """Return the rows of those pairs that met."""
    return sorted((*pair, time) for pair, time in met.items() if time)


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


def as_arrays(met: FromClause) -> list[ColumnElement[Any]]:
    """Return the columns that are when PostgreSQL's rows of meetings were, and what was met.

    A row for each user, not for each meeting, with what the driver makes of arrays as it is.
    PostgreSQL and Python compute the same number of seconds, to the last bit.
    """
    seconds = func.date_part("epoch", met.c.met_at)
    return [func.array_agg(one, type_=NullType()) for one in (seconds, met.c.lesson_id)]


def _as_history(row: Row[Any]) -> tuple[UserId, list[float], list[LessonId]]:
    return row.user_id, [row.met_at.timestamp()], [row.lesson_id]


_HISTORIES: Final = select(meetings.c.user_id, *as_arrays(meetings)).group_by(meetings.c.user_id)
_BY_USER: Final = select(meetings).order_by(meetings.c.user_id)
