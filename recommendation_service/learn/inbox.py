"""Remember: which events were learned, and of each watch the first state that is heard of.

Nearly every event is of a watch that was not heard of before. So on PostgreSQL one statement puts
the events into the inbox and the states beside it, and tells what of them was not there.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import NullType

from recommendation_service.event import Event
from recommendation_service.learn.tombstones import counts
from recommendation_service.learn.watch_states import Key, WatchState, stored_states, watch_state_of
from recommendation_service.tables import (
    inbox,
    learned_watches,
)
from shared.clock import utc_now
from shared.database.bulk import columns_of, insert_columns, insert_new_rows
from shared.database.database import Database


async def remember(
    connection: AsyncConnection, events: Collection[UUID], states: Sequence[WatchState]
) -> tuple[set[UUID], set[Key]]:
    """Return the events that were not remembered, and the keys of the watches that were not stored.

    Both are there now. A state that does not count is left out, like every one where an event was
    remembered before, or on SQLite: `merge_watches` compares those with what is stored.
    """
    if not events:
        return set(), set()
    now = utc_now()
    rows = [(event_id, now) for event_id in sorted(events)]
    if connection.dialect.name == "sqlite":
        return {event_id for (event_id,) in await insert_new_rows(connection, inbox, rows)}, set()
    columns = columns_of({inbox: rows, learned_watches: states})
    found = (await connection.execute(_REMEMBER, columns | {"all": len(rows)})).one()
    return set(found.events or ()), set(zip(found.users or (), found.watches or (), strict=True))


def _every(column: Any) -> Any:
    return func.array_agg(column, type_=NullType())


# Made once: to put a statement together takes longer than to carry it out.
_NEW_EVENTS: Final = (
    insert_columns(inbox).on_conflict_do_nothing().returning(inbox.c.event_id).cte("new_events")
)
_ALL_ARE_NEW: Final = (
    select(func.count() == bindparam("all")).select_from(_NEW_EVENTS).scalar_subquery()
)
_NEW_WATCHES: Final = (
    insert_columns(learned_watches, lambda state: _ALL_ARE_NEW & counts(state))
    .on_conflict_do_nothing()
    .returning(learned_watches.c.user_id, learned_watches.c.watch_id)
    .cte("new_watches")
)
_REMEMBER: Final = select(
    select(_every(_NEW_EVENTS.c.event_id)).scalar_subquery().label("events"),
    _every(_NEW_WATCHES.c.user_id).label("users"),
    _every(_NEW_WATCHES.c.watch_id).label("watches"),
)


CLOCK_SKEW: Final = timedelta(days=1)  # by which the clocks of two machines may differ


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
    return made_the_watch or watch.rank >= watch_state_of(event).rank
