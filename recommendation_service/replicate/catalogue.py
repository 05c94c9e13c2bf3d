"""Catalogue: what is said of lessons, in the memory of this process.

The truth is the table `lessons`. Every change of it has a version, and versions appear in their
order; so to follow is to read on from the last row that was read.
"""

import asyncio
from collections.abc import Sequence
from heapq import nsmallest
from math import inf
from typing import Final

from sqlalchemy import bindparam, select, tuple_

from recommendation_service.learn.lessons import LessonState, lesson_state_of
from recommendation_service.model.eligibility import Description, Eligibility
from recommendation_service.model.eligible import Labels
from recommendation_service.tables import lessons
from shared.database.database import Database
from shared.ids import LessonId
from shared.lessons import Lesson

PORTION: Final = 2000  # rows that are read before other tasks get their turn


class Catalogue:
    """What is known of each lesson, and of lessons that are no more."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = asyncio.Lock()
        self._reached = (0, 0)  # the version and the lesson of the last row that was read
        self._states: dict[LessonId, LessonState] = {}
        self._courses: dict[int, set[LessonId]] = {}
        self._eligibility: Eligibility | None = None

    def attach(self, eligibility: Eligibility) -> None:
        """Tell a model what is known, and from now on what is learned."""
        self._eligibility = eligibility
        for state in self._states.values():
            eligibility.describe(state.lesson_id, _description(state))

    async def catch_up(self) -> None:
        """Read what is not known yet."""
        async with self._turn:
            while await self._read_on():
                pass

    async def _read_on(self) -> bool:
        """Read a portion; return whether there is more."""
        version, lesson_id = self._reached
        async with self._database.read() as connection:
            reached = {"reached_version": version, "reached_lesson": lesson_id}
            rows = (await connection.execute(_NEXT, reached)).all()
        for row in rows:
            self._take(lesson_state_of(row))
            self._reached = row.version, row.lesson_id
        return len(rows) == PORTION

    def _take(self, state: LessonState) -> None:
        before = self.find(state.lesson_id)
        if before and before.lesson.course_id is not None:
            self._courses[before.lesson.course_id].discard(state.lesson_id)
        if not state.deleted and state.lesson.course_id is not None:
            self._courses.setdefault(state.lesson.course_id, set()).add(state.lesson_id)
        self._states[state.lesson_id] = state
        if self._eligibility:
            self._eligibility.describe(state.lesson_id, _description(state))

    def find(self, lesson_id: LessonId) -> LessonState | None:
        """Return what is known of a lesson; None where it is not, or not any more."""
        state = self._states.get(lesson_id)
        return None if state is None or state.deleted else state

    def duration_of(self, lesson_id: LessonId) -> int | None:
        """Return how many seconds a lesson has, where that is known."""
        state = self.find(lesson_id)
        return state.lesson.duration if state else None

    def course_of(self, lesson_id: LessonId) -> list[LessonState]:
        """Return the lessons of the same course, in their order; none where it has no course."""
        state = self.find(lesson_id)
        if state is None or state.lesson.course_id is None:
            return []
        course = [self._states[one] for one in self._courses[state.lesson.course_id]]
        return sorted(course, key=lambda one: (_order(one.lesson), one.lesson_id))

    def listed(self, labels: Labels, after: int, limit: int) -> Sequence[LessonState]:
        """Return the lessons with all of the labels and a greater id than `after`, by id."""
        matching = (
            state
            for lesson_id, state in self._states.items()
            if lesson_id > after and not state.deleted and labels <= _labels(state.lesson)
        )
        return nsmallest(limit, matching, key=lambda state: state.lesson_id)


def _labels(lesson: Lesson) -> Labels:
    course = () if lesson.course_id is None else (lesson.course_id,)
    return frozenset((*lesson.tags, *course))


def _order(lesson: Lesson) -> float:
    return inf if lesson.course_order is None else lesson.course_order


def _description(state: LessonState) -> Description:
    lesson, since = state.lesson, state.known_since
    opens, closes = lesson.available_from, lesson.available_until
    return Description(
        _labels(lesson),
        _order(lesson),
        hidden=lesson.hidden or state.deleted,
        opens=opens.timestamp() if opens else -inf,
        closes=closes.timestamp() if closes else inf,
        since=max(time.timestamp() for time in (opens, since) if time),
    )


# Made once: to put a statement together, ten times a second, takes longer than to carry it out.
_PLACE: Final = (lessons.c.version, lessons.c.lesson_id)
_REACHED: Final = tuple_(
    bindparam("reached_version", type_=_PLACE[0].type),
    bindparam("reached_lesson", type_=_PLACE[1].type),
)
_NEXT: Final = select(lessons).where(tuple_(*_PLACE) > _REACHED).order_by(*_PLACE).limit(PORTION)
