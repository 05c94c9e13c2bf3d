"""Recent interactions: the part of a user's history that is needed, however long all of it is."""

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
from recommendation_service.tables import hidden_lessons, interactions
from shared.database.database import Database
from shared.ids import LessonId, UserId

MAX_HISTORY: Final = 2000  # interactions of a user that are read to answer; a person has fewer

HistoryPosition = tuple[datetime, LessonId]  # histories are sorted by it

_FORWARD: Final = (interactions.c.met_at, interactions.c.lesson_id)
_BACKWARD: Final = (interactions.c.met_at.desc(), interactions.c.lesson_id.desc())


class UserHistory(NamedTuple):
    """The recent history of a user, and the lessons that the user hides."""

    history: list[Interaction]  # oldest first
    hidden: set[LessonId]


async def recent_interactions(
    connection: AsyncConnection, user_id: UserId, count: int | None = None
) -> list[Interaction]:
    """Return the latest interactions of a user, at most `count` or MAX_HISTORY, oldest first."""
    query = select(interactions).where(interactions.c.user_id == user_id)
    rows = await connection.execute(query.order_by(*_BACKWARD).limit(count or MAX_HISTORY))
    return [interaction_at(lesson_id, met_at) for _, lesson_id, met_at in rows][::-1]


async def recent_interactions_of(
    database: Database, connection: AsyncConnection, users: Collection[UserId], count: int
) -> dict[UserId, list[Interaction]]:
    """Return the latest interactions of each user, at most `count` of each, oldest first."""
    parameters = {"users": list(users), "count": count}
    if not database.is_sqlite:
        rows = await connection.execute(_ON_POSTGRESQL, parameters)
        return {user_id: _in_order(times, lessons) for user_id, times, lessons in rows}
    histories: dict[UserId, list[Interaction]] = {}
    for user_id, lesson_id, met_at in await connection.execute(_ON_SQLITE, parameters):
        histories.setdefault(user_id, []).append(interaction_at(lesson_id, met_at))
    return {user: ordered(history) for user, history in histories.items()}


def _in_order(times: Iterable[float], lessons: Iterable[LessonId]) -> list[Interaction]:
    return [
        Interaction(lesson_id, at) for at, lesson_id in sorted(zip(times, lessons, strict=True))
    ]


async def recent_and_hidden(
    database: Database, connection: AsyncConnection, users: Collection[UserId], count: int
) -> dict[UserId, UserHistory]:
    """Return the recent history of each user, with the lessons that the user hides."""
    query = _ALL_ON_SQLITE if database.is_sqlite else _ALL_ON_POSTGRESQL
    rows = await connection.execute(query, {"users": list(users), "count": count})
    found = {user: UserHistory([], set()) for user in users}
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


async def interactions_around(
    connection: AsyncConnection, user_id: UserId, positions: Iterable[HistoryPosition], count: int
) -> list[Interaction]:
    """Return `count` interactions of a user before and from each position on, all oldest first."""
    found: set[Interaction] = set()
    of_user = select(interactions).where(interactions.c.user_id == user_id)
    for position in positions:
        here = tuple_(*position, types=[column.type for column in _FORWARD])
        before = of_user.where(tuple_(*_FORWARD) < here).order_by(*_BACKWARD).limit(count)
        after = of_user.where(tuple_(*_FORWARD) >= here).order_by(*_FORWARD).limit(count)
        parts = (select(part.subquery()) for part in (before, after))
        rows = await connection.execute(union_all(*parts))
        found.update(interaction_at(lesson_id, met_at) for _, lesson_id, met_at in rows)
    return ordered(found)


async def watched_among(
    database: Database,
    connection: AsyncConnection,
    user_id: UserId,
    lessons: Collection[LessonId],
) -> set[LessonId]:
    """Return the lessons, among these, that the user has an interaction with."""
    query = select(interactions.c.lesson_id).where(
        interactions.c.user_id == user_id, database.is_any_of(interactions.c.lesson_id, lessons)
    )
    return set(await connection.scalars(query))


def interaction_at(lesson_id: LessonId, met_at: datetime) -> Interaction:
    """Return the interaction as the model knows it."""
    return Interaction(lesson_id, met_at.timestamp())


def _on_postgresql() -> Select[Any]:
    users = func.unnest(_USERS).table_valued("value").render_derived()
    of_user = select(interactions).where(interactions.c.user_id == users.c.value)
    latest = of_user.order_by(*_BACKWARD).limit(_COUNT).lateral()
    query = select(users.c.value, *as_arrays(latest)).select_from(users).join(latest, true())
    return query.group_by(users.c.value)


def _on_sqlite() -> Select[Any]:
    """Find the position where the recent part of each history begins, and read from there on.

    SQLite has no LATERAL. For a shorter history the position is the smallest one, so all of it is
    read.
    """
    users = func.json_each(_USERS).table_valued("value")
    beginning = interactions.alias()
    of_user = beginning.c.user_id == users.c.value
    ordering = (beginning.c.met_at.desc(), beginning.c.lesson_id.desc())
    begins_at, begins_with = (
        select(column).where(of_user).order_by(*ordering).limit(1).offset(_COUNT - 1)
        for column in (beginning.c.met_at, beginning.c.lesson_id)
    )
    start = tuple_(
        func.coalesce(begins_at.scalar_subquery(), literal_column("''")),
        func.coalesce(begins_with.scalar_subquery(), -1),
    )
    latest = (interactions.c.user_id == users.c.value, tuple_(*_FORWARD) >= start)
    return select(interactions).join_from(users, interactions, and_(*latest))


_USERS: Final = bindparam("users", type_=ARRAY(BigInteger).with_variant(JSON(), "sqlite"))
_COUNT: Final = bindparam("count", type_=Integer)
_ON_POSTGRESQL: Final = _on_postgresql()
_ON_SQLITE: Final = _on_sqlite()
# Hidden lessons come in the same rows; their times are null.
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
