"""Merge: of all the states of a watch that arrived, keep the latest.

The states of a watch are ordered: a deletion is later than any report, a later report than an
earlier one. Keeping the greatest is the same in any order, and any number of times.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.read import Event
from recommendation_service.tables import learned_watches
from shared.database import Database
from shared.events import Kind, LessonId, Position, UserId


class Pair(NamedTuple):
    """A user and a lesson."""

    user_id: UserId
    lesson_id: LessonId


@dataclass(frozen=True, slots=True)
class WatchState:
    """One watch as an event described it."""

    user_id: UserId
    watch_id: UUID
    lesson_id: LessonId
    position: Position
    duration: Position | None
    occurred_at: datetime
    reported_at: datetime
    deleted: bool

    @property
    def rank(self) -> tuple[bool, datetime, Position, LessonId, datetime, Position]:
        """Greater is later; equal is the same."""
        place = self.reported_at, self.position
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

COLUMNS: Final = tuple(learned_watches.c.keys())


async def merge_watches(
    database: Database, connection: AsyncConnection, events: Sequence[Event]
) -> Touched:
    """Store the latest state of each watch, and return what that touches."""
    before = await stored_states(database, connection, events) if events else {}
    after = dict(before)
    for event in events:
        state = state_of(event)
        if event.key not in after or state.rank > after[event.key].rank:
            after[event.key] = state
    changed = {key: state for key, state in after.items() if before.get(key) != state}
    await _write(connection, changed.values(), before.keys())
    return _touched(before, changed)


def state_of(event: Event) -> WatchState:
    """Return the state that the event describes."""
    return WatchState(
        event.user_id,
        event.watch_id,
        event.lesson_id,
        event.position,
        event.duration,
        event.occurred_at,
        event.reported_at,
        deleted=event.kind is Kind.DELETED,
    )


async def stored_states(
    database: Database, connection: AsyncConnection, events: Sequence[Event]
) -> dict[Key, WatchState]:
    """Return the stored states of at least the watches that the events are about."""
    users = {event.user_id for event in events}
    ids = {event.watch_id for event in events}
    query = select(learned_watches).where(
        database.among(learned_watches.c.user_id, users),
        database.among(learned_watches.c.watch_id, ids),
    )
    rows = await connection.execute(query)
    return {(row.user_id, row.watch_id): WatchState(*row) for row in rows}


async def _write(
    connection: AsyncConnection, states: Iterable[WatchState], stored: Iterable[Key]
) -> None:
    known = set(stored)
    new: list[dict[str, Any]] = []
    old: list[dict[str, Any]] = []
    for state in states:
        key = (state.user_id, state.watch_id)
        # By name: `dataclasses.asdict` copies each value deeply, which costs more than the insert.
        row = {name: getattr(state, name) for name in COLUMNS}
        (old if key in known else new).append(row)
    if new:
        await connection.execute(insert(learned_watches), new)
    if old:
        user_id, watch_id = learned_watches.c.user_id, learned_watches.c.watch_id
        this_one = (user_id == bindparam("of_user"), watch_id == bindparam("of_watch"))
        for row in old:
            row |= {"of_user": row.pop("user_id"), "of_watch": row.pop("watch_id")}
        await connection.execute(update(learned_watches).where(*this_one), old)


def _touched(before: dict[Key, WatchState], changed: dict[Key, WatchState]) -> Touched:
    touched = Touched({}, set())
    for key, state in changed.items():
        old = before.get(key)
        if state.deleted or (old and _moved(old, state)):
            touched.withdrawn.update({state.pair, old.pair if old else state.pair})
        else:
            earliest = touched.seen.get(state.pair, state.occurred_at)
            touched.seen[state.pair] = min(earliest, state.occurred_at)
    return touched


def _moved(old: WatchState, new: WatchState) -> bool:
    """Whether a watch is now one of another lesson or time; only odd producers do this."""
    return (old.pair, old.occurred_at) != (new.pair, new.occurred_at)
