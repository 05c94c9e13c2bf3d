"""Lessons: store descriptions of lessons. Of two states of a lesson, the later wins.

The order of arrival and repetition play no part. A deletion is a state like any other.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.tables import catalogue_state, lessons
from shared.clock import utc_now
from shared.database.database import Database
from shared.ids import LessonId
from shared.lessons import Lesson

TICK: Final = timedelta(microseconds=1)
CONTENT: Final = tuple(Lesson.model_fields)


@dataclass(frozen=True, slots=True)
class LessonState:
    """A lesson as it was described."""

    lesson_id: LessonId
    lesson: Lesson
    updated_at: datetime | None = None  # None: now, and later than the stored state
    deleted: bool = False
    known_since: datetime | None = None  # None: it is not stored yet

    @property
    def rank(self) -> tuple[datetime, bool, str]:
        """The place in the order of states: greater is later. At equal times content decides."""
        assert self.updated_at  # noqa: S101 - given before states are compared
        return self.updated_at, self.deleted, self.lesson.model_dump_json(include=set(CONTENT))


def deleted(lesson_id: LessonId, updated_at: datetime | None = None) -> LessonState:
    """Return the state of a deleted lesson."""
    return LessonState(lesson_id, Lesson(), updated_at, deleted=True)


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """The result of a description."""

    state: LessonState  # the later one
    existed: bool  # the lesson was described before
    changed: bool  # the description is the later state


async def upsert_lessons(
    database: Database, connection: AsyncConnection, states: Sequence[LessonState]
) -> list[UpsertResult]:
    """Upsert the states, in order.

    Repeating it changes nothing. The update locks the catalogue state until the transaction ends.
    """
    counted = update(catalogue_state).values(version=catalogue_state.c.version + 1)
    version = await connection.scalar(counted.returning(catalogue_state.c.version))
    known = await _stored(database, connection, {state.lesson_id for state in states})
    changed: dict[LessonId, LessonState] = {}
    outcomes = []
    for state in states:
        before = known.get(state.lesson_id)
        after = _later(before, state)
        if after is not before:
            known[state.lesson_id] = changed[state.lesson_id] = after
        existed = before is not None and not before.deleted
        outcomes.append(UpsertResult(after, existed, changed=after is not before))
    rows = [_row(state) | {"version": version} for _, state in sorted(changed.items())]
    if rows:
        upsert = (sqlite.insert if database.is_sqlite else postgresql.insert)(lessons)
        later = {name: upsert.excluded[name] for name in rows[0] if name != "lesson_id"}
        key = [lessons.c.lesson_id]
        await connection.execute(upsert.on_conflict_do_update(index_elements=key, set_=later), rows)
    return outcomes


def _later(before: LessonState | None, state: LessonState) -> LessonState:
    now = utc_now()
    if before is None:
        return replace(state, updated_at=state.updated_at or now, known_since=now)
    assert before.updated_at  # noqa: S101 - it is stored
    at = state.updated_at or max(now, before.updated_at + TICK)
    after = replace(state, updated_at=at, known_since=before.known_since)
    return after if after.rank > before.rank else before


async def _stored(
    database: Database, connection: AsyncConnection, ids: Collection[LessonId]
) -> dict[LessonId, LessonState]:
    rows = await connection.execute(
        select(lessons).where(database.is_any_of(lessons.c.lesson_id, ids))
    )
    return {row.lesson_id: lesson_state_of(row) for row in rows}


def lesson_state_of(row: Any) -> LessonState:
    """Return the state in a row, which was validated when it was stored."""
    lesson = Lesson.model_construct(**{name: getattr(row, name) for name in CONTENT})
    return LessonState(row.lesson_id, lesson, row.updated_at, row.deleted, row.known_since)


def _row(state: LessonState) -> dict[str, Any]:
    content = {name: getattr(state.lesson, name) for name in CONTENT}
    return content | {
        "lesson_id": state.lesson_id,
        "updated_at": state.updated_at,
        "deleted": state.deleted,
        "known_since": state.known_since,
    }
