"""Inbox: store the events that were not learned before, and the latest state of their watches.

The inbox makes the consumer idempotent: an event id is inserted once. Old ids are deleted, see
`retention.py`; from then on the stored state of the watch shows that an event is a duplicate.

Nearly every event is about a watch that is not stored yet. On PostgreSQL one statement inserts such
events together with their watches.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import NullType

from recommendation_service.event import Event
from recommendation_service.learn.model_state import ModelState, read_model_state
from recommendation_service.learn.tombstones import is_not_erased, without_erased
from recommendation_service.learn.watch_states import (
    WatchChange,
    WatchKey,
    WatchState,
    is_covered,
    later_states,
    latest_states,
)
from recommendation_service.tables import inbox, learned_watches
from shared.clock import utc_now
from shared.database.bulk import columns_of, insert_columns, insert_new_rows, upsert_rows
from shared.database.database import Database

MAX_CLOCK_SKEW: Final = timedelta(days=1)  # by which the clocks of two machines may differ


class StoredBatch(NamedTuple):
    """The part of a batch that was not learned before."""

    events: Sequence[Event]  # each once
    changes: Sequence[WatchChange]  # of their watches


async def store_events(
    database: Database, connection: AsyncConnection, events: Sequence[Event], state: ModelState
) -> StoredBatch:
    """Store the events that are new, and the states of their watches that are the latest.

    Events of erased users count as learned, and change no watch. The caller holds the locks of the
    users.
    """
    by_id = {event.event_id: event for event in events}
    new_ids, inserted = await _insert(connection, by_id)
    rest = [by_id[event_id] for event_id in new_ids if by_id[event_id].key not in inserted]
    stored = await _stored_states(database, connection, rest)
    covered = _covered(rest, stored, state.inbox_since)
    rest = [event for event in rest if event.event_id not in covered]
    if state.erased_users:
        rest = await without_erased(database, connection, rest)
    later = later_states(rest, stored)
    await upsert_rows(connection, learned_watches, list(later.values()))
    changes = [
        *(WatchChange(None, inserted[key]) for key in inserted),
        *(WatchChange(stored.get(key), later[key]) for key in later),
    ]
    return StoredBatch([by_id[event_id] for event_id in new_ids - covered], changes)


async def not_learned(
    database: Database, connection: AsyncConnection, events: Iterable[Event]
) -> list[Event]:
    """Return the events that `store_events` would store, each once."""
    by_id = {event.event_id: event for event in events}
    query = select(inbox.c.event_id).where(database.is_any_of(inbox.c.event_id, list(by_id)))
    known = set(await connection.scalars(query))
    left = [event for event_id, event in by_id.items() if event_id not in known]
    # After the inbox: retention writes `inbox_since` before it deletes ids.
    state = await read_model_state(connection)
    suspects = [event for event in left if _may_be_deleted(event, state.inbox_since)]
    stored = await _stored_states(database, connection, suspects)
    covered = _covered(suspects, stored, state.inbox_since)
    return [event for event in left if event.event_id not in covered]


async def _insert(
    connection: AsyncConnection, events: Mapping[UUID, Event]
) -> tuple[set[UUID], dict[WatchKey, WatchState]]:
    """Insert the ids into the inbox; return the new ones, and the watches inserted with them.

    A watch is inserted here if it is not stored, its latest state is not of an erased user, and all
    ids are new. On SQLite none is.
    """
    if not events:
        return set(), {}
    now = utc_now()
    ids = [(event_id, now) for event_id in sorted(events)]
    if connection.dialect.name == "sqlite":
        return {event_id for (event_id,) in await insert_new_rows(connection, inbox, ids)}, {}
    states = latest_states(events.values())
    columns = columns_of({inbox: ids, learned_watches: list(states.values())})
    found = (await connection.execute(_INSERT, columns | {"all": len(ids)})).one()
    keys = zip(found.users or (), found.watches or (), strict=True)
    return set(found.events or ()), {key: states[key] for key in keys}


async def _stored_states(
    database: Database, connection: AsyncConnection, events: Collection[Event]
) -> dict[WatchKey, WatchState]:
    """Return the stored states of at least the watches that the events are about."""
    if not events:
        return {}
    query = select(learned_watches).where(
        database.is_any_of(learned_watches.c.user_id, {event.user_id for event in events}),
        database.is_any_of(learned_watches.c.watch_id, {event.watch_id for event in events}),
    )
    rows = await connection.execute(query)
    return {(row.user_id, row.watch_id): WatchState(*row) for row in rows}


def _covered(
    events: Iterable[Event], stored: Mapping[WatchKey, WatchState], inbox_since: datetime | None
) -> set[UUID]:
    """Return the ids of events that were learned before, by the stored states of their watches.

    Their ids may be deleted from the inbox.
    """
    return {
        event.event_id
        for event in events
        if _may_be_deleted(event, inbox_since) and is_covered(event, stored.get(event.key))
    }


def _may_be_deleted(event: Event, inbox_since: datetime | None) -> bool:
    """Whether the id of an event may have been deleted from the inbox."""
    if inbox_since is None:
        return False
    return not event.is_dated or event.recorded_at < inbox_since + MAX_CLOCK_SKEW


def _every(column: Any) -> Any:
    return func.array_agg(column, type_=NullType())


_NEW_EVENTS: Final = (
    insert_columns(inbox).on_conflict_do_nothing().returning(inbox.c.event_id).cte("new_events")
)
_ALL_ARE_NEW: Final = (
    select(func.count() == bindparam("all")).select_from(_NEW_EVENTS).scalar_subquery()
)
_NEW_WATCHES: Final = (
    insert_columns(learned_watches, lambda state: _ALL_ARE_NEW & is_not_erased(state))
    .on_conflict_do_nothing()
    .returning(learned_watches.c.user_id, learned_watches.c.watch_id)
    .cte("new_watches")
)
_INSERT: Final = select(
    select(_every(_NEW_EVENTS.c.event_id)).scalar_subquery().label("events"),
    _every(_NEW_WATCHES.c.user_id).label("users"),
    _every(_NEW_WATCHES.c.watch_id).label("watches"),
)
