"""Retention: what the tables may forget, and how a duplicate is known after that.

The inbox forgets an event some time after it was learned. If the event is delivered once more,
the state of its watch says so: it is at least as late as the event.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.merge import WatchState, state_of, stored_states
from recommendation_service.read import Event
from recommendation_service.tables import inbox, model_changes, model_state, served_lists
from recommendation_service.turn import alone
from shared.database import Database
from shared.events import utc_now
from shared.identifiers import first_id_at
from shared.retention import delete_where

LOG_RETENTION: Final = timedelta(hours=1)  # a process further behind folds the model anew
LISTS_RETENTION: Final = timedelta(days=1, hours=1)  # a watch comes from a list of the day before
CLOCK_SKEW: Final = timedelta(days=1)  # by which the clocks of two machines may differ


async def forget(database: Database, days: int) -> None:
    """Forget what no process needs any more, and the events learned more than `days` ago."""
    await forget_events(database, utc_now() - timedelta(days=days))
    await forget_changes(database)
    await forget_lists(database)


async def forget_events(database: Database, before: datetime) -> None:
    """Forget the events that were learned before, having noted that they may be forgotten."""
    old = inbox.c.learned_at < before
    state = model_state.c
    async with database.write() as connection:
        if not await connection.scalar(select(exists().where(old))):
            return
        await alone(connection)  # who learns has known the time before anything is forgotten
        sooner = or_(state.inbox_since.is_(None), state.inbox_since < before)
        await connection.execute(update(model_state).where(sooner).values(inbox_since=before))
    await delete_where(database, inbox, old)


async def forget_changes(database: Database) -> None:
    """Forget the log of the model, but for the last hour."""
    old = model_changes.c.learned_at < utc_now() - LOG_RETENTION
    # The newest stays: without it a process could not tell that it is behind.
    newest = select(func.max(model_changes.c.version)).scalar_subquery()
    await delete_where(database, model_changes, old & (model_changes.c.version < newest))


async def forget_lists(database: Database) -> None:
    """Forget the lists that were served more than a day ago."""
    oldest = first_id_at(utc_now() - LISTS_RETENTION)
    await delete_where(database, served_lists, served_lists.c.id < oldest)


async def learned_long_ago(
    database: Database,
    connection: AsyncConnection,
    events: Collection[Event],
    inbox_since: datetime | None,
) -> list[Event]:
    """Return those of the events that the inbox may have forgotten, and the watches know."""
    if inbox_since is None:
        return []
    newest = inbox_since + CLOCK_SKEW
    suspects = [event for event in events if not event.is_dated or event.recorded_at < newest]
    if not suspects:
        return []
    stored = await stored_states(database, connection, suspects)
    return [event for event in suspects if _is_known(event, stored.get(event.key))]


def _is_known(event: Event, watch: WatchState | None) -> bool:
    if watch is None:
        return False
    # An undated message seems to have happened just now, each time it comes.
    made_the_watch = event.event_id == event.watch_id and not event.is_dated
    return made_the_watch or watch.rank >= state_of(event).rank
