"""Retention: what the tables may forget, and how a duplicate is known after that.

The inbox forgets an event some time after it was learned. If the event is delivered once more,
the state of its watch says so: it is at least as late as the event.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import exists, func, or_, select, update

from recommendation_service.learn.locks import alone
from recommendation_service.tables import inbox, model_changes, model_state, served_lists
from shared.clock import utc_now
from shared.database.database import Database
from shared.database.retention import delete_where
from shared.uuid7 import first_id_at

LOG_RETENTION: Final = timedelta(hours=1)  # a process further behind folds the model anew
LISTS_RETENTION: Final = timedelta(days=1, hours=1)  # a watch comes from a list of the day before


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
