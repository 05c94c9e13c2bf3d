"""Erase a user: afterwards the model is as if nothing had been recorded of the user until then.

The tombstone stays: the user's id and the time. An event that was recorded until that time changes
nothing, whenever it arrives; a later one counts. So to erase a user and to learn their events gives
the same model in any order.

A long history is removed portion by portion, the latest part first, each in its own transaction.
"""

from typing import Final

from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.learn.change_log import LogEntry, append
from recommendation_service.learn.histories import change_histories
from recommendation_service.learn.locks import lock_exclusive, lock_users
from recommendation_service.learn.parked_messages import delete_parked_of
from recommendation_service.learn.recent_interactions import recent_interactions
from recommendation_service.learn.tombstones import set_tombstone
from recommendation_service.learn.watch_states import ChangedPairs, Pair
from recommendation_service.model.history import WINDOW, difference
from recommendation_service.tables import (
    hidden_lessons,
    inbox,
    interactions,
    learned_watches,
    served_lists,
)
from shared.clock import utc_now
from shared.database.bulk import insert_new_rows
from shared.database.database import Database
from shared.events import UserErased
from shared.ids import LessonId

BATCH_SIZE: Final = 500  # interactions that are removed in one transaction
DELETE_SIZE: Final = 10_000  # watches that are deleted in one statement: it must end in time


async def erase(database: Database, erasure: UserErased) -> None:
    """Erase the user. To repeat it changes nothing, and completes an interrupted erasure."""
    async with database.write() as connection:
        await lock_exclusive(connection)
        await _begin(database, connection, erasure)
        more = await _remove_batch(database, connection, erasure)
    while more:
        async with database.write() as connection:
            await lock_users(connection, [erasure.user_id])
            more = await _remove_batch(database, connection, erasure)


async def _begin(database: Database, connection: AsyncConnection, erasure: UserErased) -> None:
    """Set the tombstone, and delete everything but watches and interactions."""
    await set_tombstone(connection, erasure)
    is_new = await insert_new_rows(connection, inbox, [(erasure.erasure_id, utc_now())])
    entry = LogEntry(applied=1) if is_new else LogEntry(duplicates=1)
    for table, at in (
        (hidden_lessons, hidden_lessons.c.hidden_at),
        (served_lists, served_lists.c.served_at),
    ):
        of_user = table.c.user_id == erasure.user_id
        await connection.execute(delete(table).where(of_user, at <= erasure.erased_at))
    await delete_parked_of(connection, erasure)
    await append(database, connection, entry)


async def _remove_batch(
    database: Database, connection: AsyncConnection, erasure: UserErased
) -> bool:
    """Remove the latest interactions that are to go; return whether there may be more."""
    kept = await _keep_later_watches(database, connection, erasure)
    count = BATCH_SIZE + len(kept) + WINDOW
    history = await recent_interactions(connection, erasure.user_id, count)
    # `difference` needs the interactions before the first one that goes.
    context = WINDOW if len(history) == count else 0
    going = [one.lesson_id for one in history[context:] if one.lesson_id not in kept][-BATCH_SIZE:]
    gone = set(going)
    change = difference(history, [one for one in history if one.lesson_id not in gone])
    of_user = interactions.c.user_id == erasure.user_id
    these = database.is_any_of(interactions.c.lesson_id, going)
    await connection.execute(delete(interactions).where(of_user, these))
    more = len(going) == BATCH_SIZE
    of_these = database.is_any_of(learned_watches.c.lesson_id, going)
    conditions = (_erased(erasure), of_these) if more else (_erased(erasure),)
    await _delete_watches(connection, and_(*conditions))
    await append(database, connection, LogEntry(change))
    return more


async def _keep_later_watches(
    database: Database, connection: AsyncConnection, erasure: UserErased
) -> set[LessonId]:
    """Return the lessons that the user watched after the erasure, and date their interactions.

    Between two portions the user may watch more lessons, so this is done for each portion.
    """
    kept = await _watched_later(connection, erasure)
    of_kept = database.is_any_of(learned_watches.c.lesson_id, kept)
    lessons = await _delete_watches(connection, _erased(erasure) & of_kept)
    pairs = ChangedPairs(withdrawn={Pair(erasure.user_id, lesson) for lesson in lessons})
    changes = await change_histories(database, connection, pairs)
    await append(database, connection, LogEntry(changes.change, changes.interactions))
    return kept


async def _delete_watches(
    connection: AsyncConnection, condition: ColumnElement[bool]
) -> set[LessonId]:
    """Delete watches of one user, in bounded statements; return their lessons."""
    watch = learned_watches.c
    some = select(watch.watch_id).where(condition).order_by(watch.watch_id).limit(DELETE_SIZE)
    these, lessons = some, set[LessonId]()
    while True:
        gone = delete(learned_watches).where(condition, watch.watch_id.in_(these.correlate(None)))
        rows = (await connection.execute(gone.returning(watch.watch_id, watch.lesson_id))).all()
        lessons.update(row.lesson_id for row in rows)
        if len(rows) < DELETE_SIZE:
            return lessons
        these = some.where(watch.watch_id > max(row.watch_id for row in rows))


def _erased(erasure: UserErased) -> ColumnElement[bool]:
    """Return the condition that a watch is to be deleted."""
    at = learned_watches.c.recorded_at
    before = or_(at.is_(None), at <= erasure.erased_at)
    return (learned_watches.c.user_id == erasure.user_id) & before


async def _watched_later(connection: AsyncConnection, erasure: UserErased) -> set[LessonId]:
    """Return the lessons that the user watched after the erasure."""
    query = select(learned_watches.c.lesson_id).where(
        learned_watches.c.user_id == erasure.user_id,
        learned_watches.c.recorded_at > erasure.erased_at,
        learned_watches.c.deleted.is_(False),
    )
    return set(await connection.scalars(query))
