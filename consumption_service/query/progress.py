"""Progress: how far a user came in each lesson, computed from the watches at each request.

Nothing is stored, so a late report, a repeated one or a deleted watch need no repair. The seen part
of a lesson is the union over its watches: their segments, and everything up to the furthest
position that was reported without segments. It only grows: a finished lesson stays finished, until
a watch is deleted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import chain
from typing import Any, Final, NamedTuple

from sqlalchemy import JSON, ColumnElement, Row, Select, Subquery, case, func, select, tuple_

from consumption_service.query.watches import FURTHEST
from consumption_service.segments import merge_segments, total_seconds
from consumption_service.tables import completions, watches
from shared.database.database import Database
from shared.events import Position
from shared.ids import LessonId, UserId

# Lessons in the first read. Each further read is READ_GROWTH times larger, because every read scans
# all watches of the user.
FIRST_READ: Final = 200
READ_GROWTH: Final = 4


class State(StrEnum):
    """How far a lesson is."""

    STARTED = "started"
    FINISHED = "finished"


class Keyset(NamedTuple):
    """The key that lists are sorted by, descending; a page begins after one (keyset pagination)."""

    last_watched_at: datetime
    lesson_id: int


@dataclass(frozen=True, slots=True)
class LessonFilters:
    """The lessons of a user that a list shows."""

    user_id: UserId
    limit: int
    after: Keyset | None = None
    lesson_id: LessonId | None = None
    state: State | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a user came in a lesson."""

    lesson_id: LessonId
    state: State
    position: Position
    furthest_position: Position
    duration: Position | None
    percent: float | None
    watched_seconds: int | None
    plays: int
    last_watched_at: datetime

    @property
    def keyset(self) -> Keyset:
        """Return the key that lists are sorted by."""
        return Keyset(self.last_watched_at, self.lesson_id)


async def list_progress(
    database: Database, filters: LessonFilters, default_percent: int
) -> list[Progress]:
    """Return the progress in the lessons watched last, the latest first."""
    query = _query(database, filters)
    after, found, limit = filters.after, list[Progress](), FIRST_READ
    while len(found) < filters.limit:
        rows = await _read(database, query, after, limit)
        read = [_progress(row, default_percent) for row in rows]
        found += [one for one in read if filters.state in (None, one.state)]
        if len(read) < limit:
            break
        after, limit = read[-1].keyset, limit * READ_GROWTH
    return found[: filters.limit]


async def _read(
    database: Database, query: Select[Any], after: Keyset | None, limit: int
) -> Sequence[Row[Any]]:
    if after:
        key = tuple_(query.selected_columns.last_watched_at, query.selected_columns.lesson_id)
        query = query.where(key < after)
    async with database.read() as connection:
        rows: Sequence[Row[Any]] = (await connection.execute(query.limit(limit))).all()
    return rows


def _query(database: Database, filters: LessonFilters) -> Select[Any]:
    """Select a row for each lesson, aggregated over its watches."""
    lessons = _lessons(database, _watches(filters))
    is_same_lesson = lessons.c.lesson_id == completions.c.lesson_id
    return (
        select(lessons, completions.c.percent)
        .join_from(lessons, completions, is_same_lesson, isouter=True)
        .order_by(lessons.c.last_watched_at.desc(), lessons.c.lesson_id.desc())
    )


def _watches(filters: LessonFilters) -> Subquery:
    """Select the watches with two row numbers per lesson, the latest first.

    `nth` counts all watches; `nth_with_duration` counts watches with a duration first.
    """
    latest = watches.c.reported_at.desc(), watches.c.position.desc(), watches.c.id.desc()
    lacks_duration = func.coalesce(watches.c.duration, 0) == 0
    query = select(
        watches.c.lesson_id,
        watches.c.position,
        func.nullif(watches.c.duration, 0).label("duration"),
        watches.c.reported_at,
        FURTHEST,
        watches.c.segments,
        _unsegmented().label("unsegmented"),
        func.row_number().over(partition_by=watches.c.lesson_id, order_by=latest).label("nth"),
        func.row_number()
        .over(partition_by=watches.c.lesson_id, order_by=(lacks_duration, *latest))
        .label("nth_with_duration"),
    ).where(watches.c.user_id == filters.user_id)
    if filters.lesson_id is not None:
        query = query.where(watches.c.lesson_id == filters.lesson_id)
    return query.subquery("numbered")


def _unsegmented() -> ColumnElement[int]:
    """Return the position up to which a watch counts as seen, besides its segments."""
    without_segments = case((watches.c.segments.is_(None), FURTHEST.element), else_=0)
    return func.coalesce(watches.c.unsegmented, without_segments)


def _lessons(database: Database, numbered: Subquery) -> Subquery:
    watch = numbered.c
    return (
        select(
            watch.lesson_id,
            func.max(case((watch.nth == 1, watch.position))).label("position"),
            func.max(watch.furthest).label("furthest"),
            func.max(case((watch.nth_with_duration == 1, watch.duration))).label("duration"),
            func.min(watch.duration).label("shortest"),
            func.count().label("plays"),
            func.max(watch.reported_at).label("last_watched_at"),
            func.max(watch.unsegmented).label("unsegmented"),
            _all_segments(database, watch.segments).label("segments"),
        )
        .group_by(watch.lesson_id)
        .subquery("lessons")
    )


def _all_segments(database: Database, segments: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the segments of all watches that report any, as a list of lists."""
    lists = (
        func.json_group_array(func.json(segments), type_=JSON)
        if database.is_sqlite
        else func.json_agg(segments, type_=JSON)
    )
    return lists.filter(segments.is_not(None))


def _progress(row: Row[Any], default_percent: int) -> Progress:
    reported = list(chain.from_iterable(row.segments or []))
    seen = total_seconds(merge_segments([[0, row.unsegmented], *reported]))
    # The shortest duration ever reported: a longer one must not make a finished lesson unfinished.
    required = (row.shortest or 0) * (row.percent or default_percent)
    return Progress(
        lesson_id=row.lesson_id,
        state=State.FINISHED if row.shortest and seen * 100 >= required else State.STARTED,
        position=row.position,
        furthest_position=row.furthest,
        duration=row.duration,
        percent=min(seen * 1000 // row.duration, 1000) / 10 if row.duration else None,
        watched_seconds=total_seconds(merge_segments(reported)) if row.segments else None,
        plays=row.plays,
        last_watched_at=row.last_watched_at,
    )
