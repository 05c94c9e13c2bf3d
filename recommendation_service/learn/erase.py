"""Erase: forget a user, as if nothing had ever been recorded of them until then.

What stays is a tombstone: the user's number and the time. An event recorded until that time changes
nothing any more, whenever it comes; what is recorded later counts. So erasing a user and learning
their events give the same model in any order.

The model loses what the user's history added to it. A history that is long goes portion by portion,
the latest part first, each in a transaction of its own.
"""

from typing import Final

from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.learn.change_log import News, advance
from recommendation_service.learn.histories import change_histories
from recommendation_service.learn.locks import alone, learn_beside_others
from recommendation_service.learn.parked import forget_parked
from recommendation_service.learn.recent_interactions import latest_meetings
from recommendation_service.learn.tombstones import set_tombstone
from recommendation_service.learn.watch_states import Pair, Touched
from recommendation_service.model.history import WINDOW, difference
from recommendation_service.tables import (
    hidden_lessons,
    inbox,
    learned_watches,
    meetings,
    served_lists,
)
from shared.clock import utc_now
from shared.database.bulk import insert_new_rows
from shared.database.database import Database
from shared.events import UserErased
from shared.ids import LessonId

PORTION: Final = 500  # meetings that are taken away in one transaction
STATEMENT: Final = 10_000  # watches that are forgotten in one statement: it must end in time


async def erase(database: Database, erasure: UserErased) -> None:
    """Forget the user. To do it again changes nothing, and completes what was broken off."""
    async with database.write() as connection:
        await alone(connection)
        await _begin(database, connection, erasure)
        more = await _take_away(database, connection, erasure)
    while more:
        async with database.write() as connection:
            await learn_beside_others(connection, [erasure.user_id])
            more = await _take_away(database, connection, erasure)


async def _begin(database: Database, connection: AsyncConnection, erasure: UserErased) -> None:
    """Set the tombstone, and forget all but the watches and what they amount to."""
    await set_tombstone(connection, erasure)
    is_new = await insert_new_rows(connection, inbox, [(erasure.erasure_id, utc_now())])
    news = News(applied=1) if is_new else News(duplicates=1)
    hides = hidden_lessons.c.user_id == erasure.user_id
    before = hidden_lessons.c.hidden_at <= erasure.erased_at
    await connection.execute(delete(hidden_lessons).where(hides, before))
    got = served_lists.c.user_id == erasure.user_id
    await connection.execute(
        delete(served_lists).where(got, served_lists.c.served_at <= erasure.erased_at)
    )
    await forget_parked(connection, erasure)
    await advance(database, connection, news)


async def _take_away(database: Database, connection: AsyncConnection, erasure: UserErased) -> bool:
    """Take the latest meetings away that there would not be; return whether there may be more."""
    key_line = await _date_anew(database, connection, erasure)
    count = PORTION + len(key_line) + WINDOW
    history = await latest_meetings(connection, erasure.user_id, count)
    # `difference` has to be shown what comes before the first that goes.
    shown = WINDOW if len(history) == count else 0
    going = [one.lesson_id for one in history[shown:] if one.lesson_id not in key_line][-PORTION:]
    gone = set(going)
    change = difference(history, [one for one in history if one.lesson_id not in gone])
    of_user = meetings.c.user_id == erasure.user_id
    these = database.among(meetings.c.lesson_id, going)
    await connection.execute(delete(meetings).where(of_user, these))
    more = len(going) == PORTION
    watched = database.among(learned_watches.c.lesson_id, going)
    rows = (_erased(erasure), watched) if more else (_erased(erasure),)
    await _forget(connection, and_(*rows))
    await advance(database, connection, News(change))
    return more


async def _date_anew(
    database: Database, connection: AsyncConnection, erasure: UserErased
) -> set[LessonId]:
    """Return the lessons watched since, which are met by these watches alone.

    Between two portions the user may watch more of them.
    """
    key_line = await _kept(connection, erasure)
    watched_since = database.among(learned_watches.c.lesson_id, key_line)
    lessons = await _forget(connection, _erased(erasure) & watched_since)
    touched = Touched({}, {Pair(erasure.user_id, lesson) for lesson in lessons})
    progress = await change_histories(database, connection, touched)
    await advance(database, connection, News(progress.change, progress.met))
    return key_line


async def _forget(connection: AsyncConnection, watches: ColumnElement[bool]) -> set[LessonId]:
    """Forget watches of one user, and return their lessons. There may be very many."""
    watch = learned_watches.c
    some = select(watch.watch_id).where(watches).order_by(watch.watch_id).limit(STATEMENT)
    these, lessons = some, set[LessonId]()
    while True:
        gone = delete(learned_watches).where(watches, watch.watch_id.in_(these.correlate(None)))
        rows = (await connection.execute(gone.returning(watch.watch_id, watch.lesson_id))).all()
        lessons.update(row.lesson_id for row in rows)
        if len(rows) < STATEMENT:
            return lessons
        these = some.where(watch.watch_id > max(row.watch_id for row in rows))


def _erased(erasure: UserErased) -> ColumnElement[bool]:
    """Return which watches are to be forgotten."""
    at = learned_watches.c.recorded_at
    before = or_(at.is_(None), at <= erasure.erased_at)
    return (learned_watches.c.user_id == erasure.user_id) & before


async def _kept(connection: AsyncConnection, erasure: UserErased) -> set[LessonId]:
    """Return the lessons that the user watched after all that is to be forgotten."""
    query = select(learned_watches.c.lesson_id).where(
        learned_watches.c.user_id == erasure.user_id,
        learned_watches.c.recorded_at > erasure.erased_at,
        learned_watches.c.deleted.is_(False),
    )
    return set(await connection.scalars(query))
