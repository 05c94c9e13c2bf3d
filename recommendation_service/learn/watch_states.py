"""Watch states: of all states of a watch, the latest wins (last writer wins). Pure: no I/O.

The states of a watch are totally ordered, see `WatchState.rank`. Keeping the greatest gives the
same result in any order of arrival, any number of times.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from recommendation_service.event import Event
from shared.events import Kind, Position
from shared.ids import LessonId, UserId

WatchKey = tuple[UserId, UUID]  # of a watch


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
        """The place in the order of states: a greater one is later, an equal one is the same.

        A deletion is later than any report, a later report than an earlier one. The other fields
        decide between reports of the same time.
        """
        report = self.reported_at, self.position, self.furthest or 0
        return self.deleted, *report, self.lesson_id, self.occurred_at, self.duration or 0

    @property
    def pair(self) -> Pair:
        """The user who watches, and the lesson."""
        return Pair(self.user_id, self.lesson_id)


class WatchChange(NamedTuple):
    """A watch before and after a batch."""

    before: WatchState | None  # None: the watch was not stored
    after: WatchState


@dataclass(frozen=True, slots=True)
class ChangedPairs:
    """The pairs of which the interaction may change, see `interactions.py`."""

    watched: dict[Pair, datetime] = field(default_factory=dict)  # the earliest watch that is added
    withdrawn: set[Pair] = field(default_factory=set)  # a watch was deleted or moved away


def watch_state_of(event: Event) -> WatchState:
    """Return the state that an event describes."""
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


def latest_states(events: Iterable[Event]) -> dict[WatchKey, WatchState]:
    """Return the latest state of each watch, sorted by key: rows are locked in this order."""
    latest: dict[WatchKey, WatchState] = {}
    for event in events:
        state = watch_state_of(event)
        if event.key not in latest or state.rank > latest[event.key].rank:
            latest[event.key] = state
    return {key: latest[key] for key in sorted(latest)}


def later_states(
    events: Iterable[Event], stored: Mapping[WatchKey, WatchState]
) -> dict[WatchKey, WatchState]:
    """Return the latest states that are later than the stored ones, sorted by key."""
    return {
        key: state
        for key, state in latest_states(events).items()
        if key not in stored or state.rank > stored[key].rank
    }


def is_covered(event: Event, stored: WatchState | None) -> bool:
    """Whether the stored state of its watch shows that an event was learned before."""
    if stored is None:
        return False
    # An event without `recorded_at` seems to happen at each of its deliveries.
    created_the_watch = event.event_id == event.watch_id and not event.is_dated
    return created_the_watch or stored.rank >= watch_state_of(event).rank


def changed_pairs(changes: Iterable[WatchChange]) -> ChangedPairs:
    """Return the pairs that changed watches are about."""
    pairs = ChangedPairs()
    for before, after in changes:
        if after.deleted or (before and _moved(before, after)):
            pairs.withdrawn.update({after.pair, before.pair if before else after.pair})
        elif before is None:  # else only the position changes
            earliest = pairs.watched.get(after.pair, after.occurred_at)
            pairs.watched[after.pair] = min(earliest, after.occurred_at)
    return pairs


def _moved(before: WatchState, after: WatchState) -> bool:
    """Whether a watch belongs to another lesson or time now, as few producers do it."""
    return (before.pair, before.occurred_at) != (after.pair, after.occurred_at)
