"""Progress: how far a user came in each lesson, worked out from the watches whenever it is asked.

Nothing is kept, so that a late report, a repeated one or an undone watch need no repair. What was
seen of a lesson is the union of what its watches say: the segments they report, and everything up
to the furthest position that was reported without any. It only grows, so a lesson that is finished
stays finished, until a watch is undone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import chain
from typing import Any, Final, NamedTuple

from sqlalchemy import JSON, ColumnElement, Row, Select, Subquery, case, func, select, tuple_

from consumption_service.query.watches import FURTHEST
from consumption_service.segments import merged, seconds_in
from consumption_service.tables import completions, watches
from shared.database.database import Database
from shared.events import Position
from shared.ids import LessonId, UserId

# Lessons read at once, at first. Where a filter wants more, it is so many times as many each time:
# reading any of them means looking at all of the user's watches.
PORTION: Final = 200
GROWTH: Final = 4


class State(StrEnum):
    """How far a lesson is."""

    STARTED = "started"
    FINISHED = "finished"


class Place(NamedTuple):
    """Where a lesson stands in a list, the one watched last first."""

    last_watched_at: datetime
    lesson_id: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lessons of a user a list shows."""

    user_id: UserId
    limit: int
    after: Place | None = None
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
    def place(self) -> Place:
        """Where it stands in a list."""
        return Place(self.last_watched_at, self.lesson_id)


async def list_progress(database: Database, wanted: Wanted, usual_percent: int) -> list[Progress]:
    """Return the progress in the lessons watched last, the latest first."""
    query = _query(database, wanted)
    after, found, portion = wanted.after, list[Progress](), PORTION
    while len(found) < wanted.limit:
        rows = await _read(database, query, after, portion)
        read = [_progress(row, usual_percent) for row in rows]
        found += [one for one in read if wanted.state in (None, one.state)]
        if len(read) < portion:
            break
        after, portion = read[-1].place, portion * GROWTH
    return found[: wanted.limit]


async def _read(
    database: Database, query: Select[Any], after: Place | None, portion: int
) -> Sequence[Row[Any]]:
    if after:
        place = tuple_(query.selected_columns.last_watched_at, query.selected_columns.lesson_id)
        query = query.where(place < after)
    async with database.read() as connection:
        rows: Sequence[Row[Any]] = (await connection.execute(query.limit(portion))).all()
    return rows


def _query(database: Database, wanted: Wanted) -> Select[Any]:
    """Select a row for each lesson, with all that follows from its watches."""
    lessons = _lessons(database, _watches(wanted))
    return (
        select(lessons, completions.c.percent)
        .join_from(
            lessons, completions, lessons.c.lesson_id == completions.c.lesson_id, isouter=True
        )
        .order_by(lessons.c.last_watched_at.desc(), lessons.c.lesson_id.desc())
    )


def _watches(wanted: Wanted) -> Subquery:
    """Select the watches, numbered in each lesson from the latest on; once more by durations."""
    latest = watches.c.reported_at.desc(), watches.c.position.desc(), watches.c.id.desc()
    is_unmeasured = func.coalesce(watches.c.duration, 0) == 0
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
        .over(partition_by=watches.c.lesson_id, order_by=(is_unmeasured, *latest))
        .label("nth_measured"),
    ).where(watches.c.user_id == wanted.user_id)
    if wanted.lesson_id is not None:
        query = query.where(watches.c.lesson_id == wanted.lesson_id)
    return query.subquery("numbered")


def _unsegmented() -> ColumnElement[int]:
    """Return up to where a watch says that all was seen."""
    without_segments = case((watches.c.segments.is_(None), FURTHEST.element), else_=0)
    return func.coalesce(watches.c.unsegmented, without_segments)


def _lessons(database: Database, numbered: Subquery) -> Subquery:
    one = numbered.c
    return (
        select(
            one.lesson_id,
            func.max(case((one.nth == 1, one.position))).label("position"),
            func.max(one.furthest).label("furthest"),
            func.max(case((one.nth_measured == 1, one.duration))).label("duration"),
            func.min(one.duration).label("shortest"),
            func.count().label("plays"),
            func.max(one.reported_at).label("last_watched_at"),
            func.max(one.unsegmented).label("unsegmented"),
            _gathered(database, one.segments).label("segments"),
        )
        .group_by(one.lesson_id)
        .subquery("lessons")
    )


def _gathered(database: Database, segments: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the segments of all watches that report them, as a list of lists."""
    lists = (
        func.json_group_array(func.json(segments), type_=JSON)
        if database.is_sqlite
        else func.json_agg(segments, type_=JSON)
    )
    return lists.filter(segments.is_not(None))


def _progress(row: Row[Any], usual_percent: int) -> Progress:
    reported = list(chain.from_iterable(row.segments or []))
    seen = seconds_in(merged([[0, row.unsegmented], *reported]))
    # The shortest length that was ever reported: a longer one must not make it unfinished.
    enough = (row.shortest or 0) * (row.percent or usual_percent)
    return Progress(
        lesson_id=row.lesson_id,
        state=State.FINISHED if row.shortest and seen * 100 >= enough else State.STARTED,
        position=row.position,
        furthest_position=row.furthest,
        duration=row.duration,
        percent=min(seen * 1000 // row.duration, 1000) / 10 if row.duration else None,
        watched_seconds=seconds_in(merged(reported)) if row.segments else None,
        plays=row.plays,
        last_watched_at=row.last_watched_at,
    )
