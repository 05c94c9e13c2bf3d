"""Interactions: when each user first watched each lesson, as rows of the database.

An interaction is the *first* time a user watched a lesson. It follows from the watches that are not
deleted.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import NullType

from recommendation_service.learn.watch_states import Pair
from recommendation_service.model.history import Bounds
from recommendation_service.tables import interactions, learned_watches
from shared.database.bulk import upsert_rows
from shared.database.database import Database
from shared.ids import LessonId, UserId

FirstWatchedAt = datetime | None  # when a user first watched a lesson; None: never


async def stored_interactions(
    database: Database, connection: AsyncConnection, pairs: Collection[Pair]
) -> dict[Pair, FirstWatchedAt]:
    """Return the stored interactions of at least these pairs."""
    if not pairs:
        return {}
    query = select(interactions.c.user_id, interactions.c.lesson_id, interactions.c.met_at).where(
        database.is_any_of(interactions.c.user_id, {pair.user_id for pair in pairs}),
        database.is_any_of(interactions.c.lesson_id, {pair.lesson_id for pair in pairs}),
    )
    rows = await connection.execute(query)
    return {Pair(row.user_id, row.lesson_id): row.met_at for row in rows}


async def earliest_watches(
    database: Database, connection: AsyncConnection, pairs: Collection[Pair]
) -> dict[Pair, FirstWatchedAt]:
    """Return the time of the earliest remaining watch of each pair; None if none remains."""
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
            database.is_any_of(watch.user_id, {pair.user_id for pair in pairs}),
            database.is_any_of(watch.lesson_id, {pair.lesson_id for pair in pairs}),
            watch.deleted.is_(False),
        )
        .group_by(watch.user_id, watch.lesson_id)
    )
    found = {Pair(user, lesson): time for user, lesson, time in await connection.execute(query)}
    return {pair: found.get(pair) for pair in pairs}


async def write_interactions(
    connection: AsyncConnection, changed: Mapping[Pair, FirstWatchedAt]
) -> None:
    """Store the interactions of pairs; None deletes one."""
    await upsert_rows(connection, interactions, rows_of(changed))
    for pair in (pair for pair, time in changed.items() if time is None):
        this_one = (
            interactions.c.user_id == pair.user_id,
            interactions.c.lesson_id == pair.lesson_id,
        )
        await connection.execute(delete(interactions).where(*this_one))


def rows_of(changed: Mapping[Pair, FirstWatchedAt]) -> list[tuple[UserId, LessonId, datetime]]:
    """Return the rows to upsert, sorted by key: rows are locked in this order."""
    return sorted((*pair, time) for pair, time in changed.items() if time)


async def read_bounds(
    database: Database, connection: AsyncConnection, lessons: Collection[LessonId]
) -> dict[LessonId, Bounds | None]:
    """Return the times of the first and the last interaction with each lesson; None without any."""
    # Each end of the index is read once for each lesson, however many users there are.
    lesson_id = database.values_table(interactions.c.lesson_id, lessons).c.value
    met_at = interactions.c.met_at
    first, last = (
        select(function(met_at, type_=met_at.type))
        .where(interactions.c.lesson_id == lesson_id)
        .scalar_subquery()
        for function in (func.min, func.max)
    )
    found = await connection.execute(select(lesson_id, first, last))
    return {
        lesson: (first.timestamp(), last.timestamp()) if first and last else None
        for lesson, first, last in found
    }


def as_arrays(rows: FromClause) -> list[ColumnElement[Any]]:
    """Return the columns `times` and `lesson_ids` of rows that are grouped by user, on PostgreSQL.

    One row for a user costs less than one for each interaction, and `NullType` leaves the arrays as
    the driver made them. PostgreSQL and Python compute the same seconds, to the last bit.
    """
    seconds = func.date_part("epoch", rows.c.met_at)
    return [func.array_agg(one, type_=NullType()) for one in (seconds, rows.c.lesson_id)]
