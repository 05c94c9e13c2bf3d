"""Catalogue: a replica of the table `lessons` in the memory of this process.

Every change of the table has a version, and versions become visible in their order. So the replica
catches up by reading on from the last row that it read.
"""

import asyncio
from collections.abc import Sequence
from heapq import nsmallest
from math import inf
from typing import Final

from sqlalchemy import bindparam, select, tuple_

from recommendation_service.learn.lessons import LessonState, lesson_state_of
from recommendation_service.model.eligibility import Description, Eligibility
from recommendation_service.model.eligible_lessons import Labels
from recommendation_service.tables import lessons
from shared.database.database import Database
from shared.ids import LessonId
from shared.lessons import Lesson

BATCH_SIZE: Final = 2000  # rows that are read before other tasks may run

_POSITION: Final = (lessons.c.version, lessons.c.lesson_id)
_LAST_READ: Final = tuple_(
    bindparam("last_version", type_=_POSITION[0].type),
    bindparam("last_lesson", type_=_POSITION[1].type),
)
_NEXT: Final = (
    select(lessons).where(tuple_(*_POSITION) > _LAST_READ).order_by(*_POSITION).limit(BATCH_SIZE)
)


class Catalogue:
    """The state of each lesson, and of deleted ones."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = asyncio.Lock()  # held while rows are read
        self._last_read = (0, 0)  # the version and the lesson of the last row
        self._states: dict[LessonId, LessonState] = {}
        self._courses: dict[int, set[LessonId]] = {}
        self._eligibility: Eligibility | None = None

    def describe_to(self, eligibility: Eligibility) -> None:
        """Describe all lessons to the eligibility of a model, and from now on each change."""
        self._eligibility = eligibility
        for state in self._states.values():
            eligibility.describe(state.lesson_id, _description(state))

    async def catch_up(self) -> None:
        """Apply every change that was not read yet."""
        async with self._lock:
            while await self._read_batch():
                pass

    async def _read_batch(self) -> bool:
        """Read a batch of rows; return whether there may be more. The caller holds the lock."""
        version, lesson_id = self._last_read
        async with self._database.read() as connection:
            last_read = {"last_version": version, "last_lesson": lesson_id}
            rows = (await connection.execute(_NEXT, last_read)).all()
        for row in rows:
            self._apply(lesson_state_of(row))
            self._last_read = row.version, row.lesson_id
        return len(rows) == BATCH_SIZE

    def _apply(self, state: LessonState) -> None:
        before = self.find(state.lesson_id)
        if before and before.lesson.course_id is not None:
            self._courses[before.lesson.course_id].discard(state.lesson_id)
        if not state.deleted and state.lesson.course_id is not None:
            self._courses.setdefault(state.lesson.course_id, set()).add(state.lesson_id)
        self._states[state.lesson_id] = state
        if self._eligibility:
            self._eligibility.describe(state.lesson_id, _description(state))

    def find(self, lesson_id: LessonId) -> LessonState | None:
        """Return the state of a lesson; None where it is unknown or deleted."""
        state = self._states.get(lesson_id)
        return None if state is None or state.deleted else state

    def duration_of(self, lesson_id: LessonId) -> int | None:
        """Return how many seconds a lesson takes, where that is known."""
        state = self.find(lesson_id)
        return state.lesson.duration if state else None

    def course_of(self, lesson_id: LessonId) -> list[LessonState]:
        """Return the lessons of the same course in course order; none without a course."""
        state = self.find(lesson_id)
        if state is None or state.lesson.course_id is None:
            return []
        course = [self._states[one] for one in self._courses[state.lesson.course_id]]
        return sorted(course, key=lambda one: (_course_order(one.lesson), one.lesson_id))

    def page(self, labels: Labels, after: int, limit: int) -> Sequence[LessonState]:
        """Return the first lessons with all labels and an id greater than `after`, by id."""
        matching = (
            state
            for lesson_id, state in self._states.items()
            if lesson_id > after and not state.deleted and labels <= _labels(state.lesson)
        )
        return nsmallest(limit, matching, key=lambda state: state.lesson_id)


def _labels(lesson: Lesson) -> Labels:
    course = () if lesson.course_id is None else (lesson.course_id,)
    return frozenset((*lesson.tags, *course))


def _course_order(lesson: Lesson) -> float:
    return inf if lesson.course_order is None else lesson.course_order


def _description(state: LessonState) -> Description:
    lesson, since = state.lesson, state.known_since
    opens, closes = lesson.available_from, lesson.available_until
    return Description(
        _labels(lesson),
        _course_order(lesson),
        hidden=lesson.hidden or state.deleted,
        opens=opens.timestamp() if opens else -inf,
        closes=closes.timestamp() if closes else inf,
        since=max(time.timestamp() for time in (opens, since) if time),
    )
