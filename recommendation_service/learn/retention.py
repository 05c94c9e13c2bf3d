"""Retention: delete the rows that have served their time.

An event that is delivered after its id was deleted is recognised by its watch, see `inbox.py`.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import exists, func, or_, select, update

from recommendation_service.learn.locks import lock_exclusive
from recommendation_service.tables import inbox, model_changes, model_state, served_lists
from shared.clock import utc_now
from shared.database.database import Database
from shared.database.retention import delete_where
from shared.uuid7 import first_id_at

LOG_RETENTION: Final = timedelta(hours=1)  # a replica further behind loads the model again
LISTS_RETENTION: Final = timedelta(days=1, hours=1)  # attribution looks back a day


async def delete_old(database: Database, days: int) -> None:
    """Delete what no process needs any more, and the ids of events learned over `days` ago."""
    await delete_event_ids(database, utc_now() - timedelta(days=days))
    await delete_log_entries(database)
    await delete_served_lists(database)


async def delete_event_ids(database: Database, before: datetime) -> None:
    """Delete the ids of events that were learned before, after `inbox_since` says so."""
    old = inbox.c.learned_at < before
    state = model_state.c
    async with database.write() as connection:
        if not await connection.scalar(select(exists().where(old))):
            return
        await lock_exclusive(connection)  # every learner knows the time before ids are deleted
        sooner = or_(state.inbox_since.is_(None), state.inbox_since < before)
        await connection.execute(update(model_state).where(sooner).values(inbox_since=before))
    await delete_where(database, inbox, old)


async def delete_log_entries(database: Database) -> None:
    """Delete the change log, but for the last hour."""
    old = model_changes.c.learned_at < utc_now() - LOG_RETENTION
    # The newest entry stays: without it a replica could not tell that it is behind.
    newest = select(func.max(model_changes.c.version)).scalar_subquery()
    await delete_where(database, model_changes, old & (model_changes.c.version < newest))


async def delete_served_lists(database: Database) -> None:
    """Delete the lists that were served over a day ago."""
    oldest = first_id_at(utc_now() - LISTS_RETENTION)
    await delete_where(database, served_lists, served_lists.c.id < oldest)
