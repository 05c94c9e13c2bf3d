"""Histories: keep when each user first met each lesson, and tell the model what that changes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.merge import Pair, Touched
from recommendation_service.model.history import (
    WINDOW,
    Bounds,
    Change,
    Meeting,
    difference,
    ordered,
)
from recommendation_service.tables import learned_watches, meetings
from shared.database import Database
from shared.events import LessonId, UserId

RECENT: Final = 64  # meetings read of each user; an older change reads the whole history

First = datetime | None  # when a user first met a lesson; None: not at all


async def change_histories(
    database: Database, connection: AsyncConnection, touched: Touched
) -> Change:
    """Bring the meetings in line with the watches, and return what that means for the model."""
    pairs = touched.seen.keys() | touched.withdrawn
    if not pairs:
        return Change()
    before = await _known(database, connection, pairs)
    after: dict[Pair, First] = {
        pair: min(time, before.get(pair) or time) for pair, time in touched.seen.items()
    }
    if touched.withdrawn:
        after |= await _first_watches(database, connection, touched.withdrawn)
    changed = {pair: time for pair, time in after.items() if before.get(pair) != time}
    if not changed:
        return Change()
    recent = await _recent(database, connection, {pair.user_id for pair in changed})
    changes = []
    for user_id, lessons in _by_user(changed).items():
        old = {lesson: before.get(Pair(user_id, lesson)) for lesson in lessons}
        history = recent.get(user_id, [])
        if not _reaches(history, old, lessons):
            history = await history_of(connection, user_id)
        changes.append(difference(history, _changed(history, old, lessons)))
    await _write(database, connection, changed)
    return await _joined(database, connection, changes)


async def history_of(connection: AsyncConnection, user_id: UserId) -> list[Meeting]:
    """Return all meetings of the user, oldest first."""
    query = select(meetings.c.lesson_id, meetings.c.met_at).where(meetings.c.user_id == user_id)
    return ordered(_meeting(row.lesson_id, row.met_at) for row in await connection.execute(query))


def _meeting(lesson_id: LessonId, met_at: datetime) -> Meeting:
    return Meeting(lesson_id, met_at.timestamp())


async def _known(
    database: Database, connection: AsyncConnection, pairs: Collection[Pair]
) -> dict[Pair, First]:
    """Return the stored meetings of at least these pairs."""
    query = select(meetings.c.user_id, meetings.c.lesson_id, meetings.c.met_at).where(
        database.among(meetings.c.user_id, {pair.user_id for pair in pairs}),
        database.among(meetings.c.lesson_id, {pair.lesson_id for pair in pairs}),
    )
    rows = await connection.execute(query)
    return {Pair(row.user_id, row.lesson_id): row.met_at for row in rows}


async def _first_watches(
    database: Database, connection: AsyncConnection, pairs: Collection[Pair]
) -> dict[Pair, First]:
    """Look up the earliest remaining watch of each pair, None when nothing remains."""
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


async def _recent(
    database: Database, connection: AsyncConnection, users: Collection[UserId]
) -> dict[UserId, list[Meeting]]:
    """Return the latest meetings of each user, oldest first."""
    latest_first = (meetings.c.met_at.desc(), meetings.c.lesson_id.desc())
    place = func.row_number().over(partition_by=meetings.c.user_id, order_by=latest_first)
    numbered = (
        select(meetings, place.label("place"))
        .where(database.among(meetings.c.user_id, users))
        .subquery()
    )
    rows = await connection.execute(select(numbered).where(numbered.c.place <= RECENT))
    histories: dict[UserId, list[Meeting]] = {}
    for row in rows:
        histories.setdefault(row.user_id, []).append(_meeting(row.lesson_id, row.met_at))
    return {user: ordered(history) for user, history in histories.items()}


def _by_user(changed: Mapping[Pair, First]) -> dict[UserId, dict[LessonId, First]]:
    users: dict[UserId, dict[LessonId, First]] = {}
    for pair, time in changed.items():
        users.setdefault(pair.user_id, {})[pair.lesson_id] = time
    return users


def _reaches(
    recent: Sequence[Meeting], old: Mapping[LessonId, First], new: Mapping[LessonId, First]
) -> bool:
    """Whether the part of a history that was read is enough to tell what changes."""
    if len(recent) < RECENT:
        return True
    safe = recent[WINDOW].at
    times = [time.timestamp() for time in (*old.values(), *new.values()) if time]
    return min(times) > safe


def _changed(
    history: Sequence[Meeting], old: Mapping[LessonId, First], new: Mapping[LessonId, First]
) -> list[Meeting]:
    kept = [meeting for meeting in history if meeting.lesson_id not in old]
    return ordered([*kept, *(_meeting(lesson, time) for lesson, time in new.items() if time)])


async def _write(
    database: Database, connection: AsyncConnection, changed: Mapping[Pair, First]
) -> None:
    rows = [
        {"user_id": pair.user_id, "lesson_id": pair.lesson_id, "met_at": time}
        for pair, time in sorted(changed.items(), key=lambda item: item[0])
        if time
    ]
    if rows:
        upsert = (sqlite.insert if database.is_sqlite else postgresql.insert)(meetings)
        key = [meetings.c.user_id, meetings.c.lesson_id]
        later = {"met_at": upsert.excluded.met_at}
        await connection.execute(upsert.on_conflict_do_update(index_elements=key, set_=later), rows)
    for pair in (pair for pair, time in changed.items() if time is None):
        this_one = (meetings.c.user_id == pair.user_id, meetings.c.lesson_id == pair.lesson_id)
        await connection.execute(delete(meetings).where(*this_one))


async def _joined(
    database: Database, connection: AsyncConnection, changes: Iterable[Change]
) -> Change:
    """Make one change of many; it says when lessons that lost a meeting are met now."""
    parts = list(changes)
    whole = Change(
        added=tuple(one for part in parts for one in part.added),
        removed=tuple(one for part in parts for one in part.removed),
    )
    if not whole.lost:
        return whole
    return whole.with_bounds(await _bounds(database, connection, whole.lost))


async def _bounds(
    database: Database, connection: AsyncConnection, lessons: Collection[LessonId]
) -> dict[LessonId, Bounds | None]:
    met_at = meetings.c.met_at
    first, last = (function(met_at, type_=met_at.type) for function in (func.min, func.max))
    query = (
        select(meetings.c.lesson_id, first, last)
        .where(database.among(meetings.c.lesson_id, lessons))
        .group_by(meetings.c.lesson_id)
    )
    found = {
        lesson: (first.timestamp(), last.timestamp())
        for lesson, first, last in await connection.execute(query)
    }
    return {lesson: found.get(lesson) for lesson in lessons}
