"""Latest meetings: the part of a user's history that is needed, however long the whole of it is."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Integer,
    Select,
    and_,
    any_,
    bindparam,
    func,
    literal_column,
    null,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import NullType

from recommendation_service.learn.interactions import as_arrays
from recommendation_service.model.history import Interaction, ordered
from recommendation_service.tables import hidden_lessons, meetings
from shared.database.database import Database
from shared.ids import LessonId, UserId

KNOWN: Final = 2000  # meetings of a user that are read to answer; a person has fewer

Place = tuple[datetime, LessonId]  # in a history

_FORWARD: Final = (meetings.c.met_at, meetings.c.lesson_id)
_BACKWARD: Final = (meetings.c.met_at.desc(), meetings.c.lesson_id.desc())


class Known(NamedTuple):
    """What is known of a user."""

    history: list[Interaction]  # the latest meetings, oldest first
    hidden: set[LessonId]  # lessons that are not to be shown


async def latest_meetings(
    connection: AsyncConnection, user_id: UserId, count: int | None = None
) -> list[Interaction]:
    """Return the latest meetings of a user, at most `count` or KNOWN, oldest first."""
    query = select(meetings).where(meetings.c.user_id == user_id)
    rows = await connection.execute(query.order_by(*_BACKWARD).limit(count or KNOWN))
    return [meeting_at(lesson_id, met_at) for _, lesson_id, met_at in rows][::-1]


async def latest_meetings_of(
    database: Database, connection: AsyncConnection, users: Collection[UserId], count: int
) -> dict[UserId, list[Interaction]]:
    """Return the latest meetings of each user, at most `count` of each, oldest first."""
    parameters = {"users": list(users), "count": count}
    if not database.is_sqlite:
        rows = await connection.execute(_ON_POSTGRESQL, parameters)
        return {user_id: _in_order(times, lessons) for user_id, times, lessons in rows}
    histories: dict[UserId, list[Interaction]] = {}
    for user_id, lesson_id, met_at in await connection.execute(_ON_SQLITE, parameters):
        histories.setdefault(user_id, []).append(meeting_at(lesson_id, met_at))
    return {user: ordered(history) for user, history in histories.items()}


def _in_order(times: Iterable[float], lessons: Iterable[LessonId]) -> list[Interaction]:
    return [
        Interaction(lesson_id, at) for at, lesson_id in sorted(zip(times, lessons, strict=True))
    ]


async def latest_and_hidden(
    database: Database, connection: AsyncConnection, users: Collection[UserId], count: int
) -> dict[UserId, Known]:
    """Return the same of each user, and the lessons that the user hides."""
    query = _ALL_ON_SQLITE if database.is_sqlite else _ALL_ON_POSTGRESQL
    rows = await connection.execute(query, {"users": list(users), "count": count})
    found = {user: Known([], set()) for user in users}
    for row in rows:
        user_id, times, lessons = _row_as_arrays(row) if database.is_sqlite else row
        if times is None:
            found[user_id].hidden.update(lessons)
        else:
            found[user_id].history.extend(_in_order(times, lessons))
    return {user: one._replace(history=ordered(one.history)) for user, one in found.items()}


def _row_as_arrays(row: Any) -> tuple[UserId, list[float] | None, list[LessonId]]:
    user_id, lesson_id, met_at = row
    return user_id, met_at and [met_at.timestamp()], [lesson_id]


async def meetings_around(
    connection: AsyncConnection, user_id: UserId, places: Iterable[Place], count: int
) -> list[Interaction]:
    """Return the `count` meetings of a user before and from each place on, all oldest first."""
    found: set[Interaction] = set()
    of_user = select(meetings).where(meetings.c.user_id == user_id)
    for place in places:
        here = tuple_(*place, types=[column.type for column in _FORWARD])
        before = of_user.where(tuple_(*_FORWARD) < here).order_by(*_BACKWARD).limit(count)
        after = of_user.where(tuple_(*_FORWARD) >= here).order_by(*_FORWARD).limit(count)
        parts = (select(part.subquery()) for part in (before, after))
        rows = await connection.execute(union_all(*parts))
        found.update(meeting_at(lesson_id, met_at) for _, lesson_id, met_at in rows)
    return ordered(found)


async def met_among(
    database: Database,
    connection: AsyncConnection,
    user_id: UserId,
    lessons: Collection[LessonId],
) -> set[LessonId]:
    """Return those of the lessons that the user met."""
    query = select(meetings.c.lesson_id).where(
        meetings.c.user_id == user_id, database.is_any_of(meetings.c.lesson_id, lessons)
    )
    return set(await connection.scalars(query))


def meeting_at(lesson_id: LessonId, met_at: datetime) -> Interaction:
    """Return the meeting as the model knows it."""
    return Interaction(lesson_id, met_at.timestamp())


def _on_postgresql() -> Select[Any]:
    users = func.unnest(_USERS).table_valued("value").render_derived()
    of_user = select(meetings).where(meetings.c.user_id == users.c.value)
    latest = of_user.order_by(*_BACKWARD).limit(_COUNT).lateral()
    query = select(users.c.value, *as_arrays(latest)).select_from(users).join(latest, true())
    return query.group_by(users.c.value)


def _on_sqlite() -> Select[Any]:
    """SQLite has no LATERAL: find where the latest meetings of each user begin, and go from there.

    A history that is not long enough has no such place; the least values stand for it.
    """
    users = func.json_each(_USERS).table_valued("value")
    beginning = meetings.alias()
    of_user = beginning.c.user_id == users.c.value
    ordering = (beginning.c.met_at.desc(), beginning.c.lesson_id.desc())
    begins_at, begins_with = (
        select(column).where(of_user).order_by(*ordering).limit(1).offset(_COUNT - 1)
        for column in (beginning.c.met_at, beginning.c.lesson_id)
    )
    place = tuple_(
        func.coalesce(begins_at.scalar_subquery(), literal_column("''")),
        func.coalesce(begins_with.scalar_subquery(), -1),
    )
    latest = (meetings.c.user_id == users.c.value, tuple_(*_FORWARD) >= place)
    return select(meetings).join_from(users, meetings, and_(*latest))


# Made once: to put a statement together takes longer than to carry it out.
_USERS: Final = bindparam("users", type_=ARRAY(BigInteger).with_variant(JSON(), "sqlite"))
_COUNT: Final = bindparam("count", type_=Integer)
_ON_POSTGRESQL: Final = _on_postgresql()
_ON_SQLITE: Final = _on_sqlite()
# What users hide comes with what they met, and is known by the missing time.
_HIDES, _LESSON = hidden_lessons.c.user_id, hidden_lessons.c.lesson_id
_ALL_ON_POSTGRESQL: Final = union_all(
    _ON_POSTGRESQL,
    select(_HIDES, null(), func.array_agg(_LESSON, type_=NullType()))
    .where(any_(_USERS) == _HIDES)
    .group_by(_HIDES),
)
_ALL_ON_SQLITE: Final = union_all(
    _ON_SQLITE,
    select(_HIDES, _LESSON, null()).where(
        _HIDES.in_(select(func.json_each(_USERS).table_valued("value").c.value))
    ),
)
