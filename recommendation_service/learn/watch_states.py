"""Merge: of all the states of a watch that arrived, keep the latest.

The states of a watch are ordered: a deletion is later than any report, a later report than an
earlier one. Keeping the greatest is the same in any order, and any number of times.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.event import Event
from recommendation_service.tables import learned_watches
from shared.database.bulk import upsert_rows
from shared.database.database import Database
from shared.events import Kind, Position
from shared.ids import LessonId, UserId


class Pair(NamedTuple):
    """A user and a lesson."""

    user_id: UserId
    lesson_id: LessonId


class WatchState(NamedTuple):
    """One watch as an event described it: a row of `learned_watches`."""

    user_id: UserId
    watch_id: UUID
    lesson_id: LessonId
    position: Position
    duration: Position | None
    occurred_at: datetime
    reported_at: datetime
    deleted: bool
    recorded_at: datetime | None
    furthest: Position | None

    @property
    def rank(self) -> tuple[bool, datetime, Position, Position, LessonId, datetime, Position]:
        """Greater is later; equal is the same."""
        place = self.reported_at, self.position, self.furthest or 0
        return self.deleted, *place, self.lesson_id, self.occurred_at, self.duration or 0

    @property
    def pair(self) -> Pair:
        """Return whose watch it is, and of what."""
        return Pair(self.user_id, self.lesson_id)


@dataclass(frozen=True, slots=True)
class Touched:
    """The pairs of a user and a lesson that events were about."""

    seen: dict[Pair, datetime]  # the earliest watch among the events that add one
    withdrawn: set[Pair]  # a watch was deleted, or moved to another lesson


Key = tuple[UserId, UUID]


def latest_states(events: Iterable[Event]) -> dict[Key, WatchState]:
    """Return the latest state of each watch, in an order in which nobody waits in a circle."""
    latest: dict[Key, WatchState] = {}
    for event in events:
        state = watch_state_of(event)
        if event.key not in latest or state.rank > latest[event.key].rank:
            latest[event.key] = state
    return {key: latest[key] for key in sorted(latest)}


async def merge_watches(
    database: Database,
    connection: AsyncConnection,
    events: Sequence[Event],
    first: Mapping[Key, WatchState],
) -> Touched:
    """Store the latest state of each watch, and return what that touches.

    With what the `first` touched, which are stored already, each of a watch that was not.
    """
    latest = latest_states(events)
    stored = await stored_states(database, connection, events) if events else {}
    before = {key: stored[key] for key in latest.keys() & stored.keys()}
    later = {
        key: state
        for key, state in latest.items()
        if key not in before or state.rank > before[key].rank
    }
    await upsert_rows(connection, learned_watches, list(later.values()))
    return _touched(before, {**first, **later})


def watch_state_of(event: Event) -> WatchState:
    """Return the state that the event describes."""
    return WatchState(
        event.user_id,
        event.watch_id,
        event.lesson_id,
        event.position,
        event.duration,
        event.occurred_at,
        event.reported_at,
        event.kind is Kind.DELETED,
        event.recorded_at,
        event.furthest,
    )


async def stored_states(
    database: Database, connection: AsyncConnection, events: Sequence[Event]
) -> dict[Key, WatchState]:
    """Return the stored states of at least the watches that the events are about."""
    users = {event.user_id for event in events}
    ids = {event.watch_id for event in events}
    query = select(learned_watches).where(
        database.is_any_of(learned_watches.c.user_id, users),
        database.is_any_of(learned_watches.c.watch_id, ids),
    )
    rows = await connection.execute(query)
    return {(row.user_id, row.watch_id): WatchState(*row) for row in rows}


def _touched(before: dict[Key, WatchState], changed: dict[Key, WatchState]) -> Touched:
    touched = Touched({}, set())
    for key, state in changed.items():
        old = before.get(key)
        if state.deleted or (old and _moved(old, state)):
            touched.withdrawn.update({state.pair, old.pair if old else state.pair})
        elif old is None:  # else it has been seen, and only the position changes
            earliest = touched.seen.get(state.pair, state.occurred_at)
            touched.seen[state.pair] = min(earliest, state.occurred_at)
    return touched


def _moved(old: WatchState, new: WatchState) -> bool:
    """Whether a watch is now one of another lesson or time; only odd producers do this."""
    return (old.pair, old.occurred_at) != (new.pair, new.occurred_at)
