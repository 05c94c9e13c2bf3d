"""Learn: fold events into what is known, in one transaction. Folding twice changes nothing.

An event carries the whole state of its watch, and of two states the later wins, so the order of
arrival plays no part. What a user's watches amount to is when the user first met each lesson; when
that changes, the model's change is the difference between what the user's history contributed
before and what it contributes after.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.event import Event
from recommendation_service.learn.change_log import News, advance
from recommendation_service.learn.histories import Step, change_histories
from recommendation_service.learn.inbox import learned_long_ago, remember
from recommendation_service.learn.locks import learn_beside_others
from recommendation_service.learn.tombstones import not_erased
from recommendation_service.learn.watch_states import Touched, latest_states, merge_watches
from recommendation_service.model.history import Change
from shared.database.database import Database


@dataclass(frozen=True, slots=True)
class Learned:
    """What a transaction taught: effective once it is committed."""

    version: int  # of the model, after it
    change: Change
    steps: Sequence[Step]  # the same change, step by step
    applied_through: datetime | None
    fresh: Sequence[Event]  # the events that were not known before


async def learn(
    database: Database, connection: AsyncConnection, events: Sequence[Event]
) -> Learned:
    """Learn the events that were not learned before."""
    state = await learn_beside_others(connection, {event.user_id for event in events})
    fresh, touched = await _take_in(database, connection, events, state)
    steps, change, met = await change_histories(database, connection, touched)
    applied = len(fresh)
    through = max((event.recorded_at for event in fresh), default=None)
    news = News(change, met, through, applied, duplicates=len(events) - applied)
    version, change, through = await advance(database, connection, news, state)
    return Learned(version, change, steps, through, fresh)


async def _take_in(
    database: Database, connection: AsyncConnection, events: Sequence[Event], state: Row[Any]
) -> tuple[Sequence[Event], Touched]:
    """Return the events that were not learned before, each once, and what they touch."""
    by_id = {event.event_id: event for event in events}
    latest = latest_states(by_id.values())
    new, first = await remember(connection, by_id.keys(), list(latest.values()))
    others = [by_id[event_id] for event_id in new if by_id[event_id].key not in first]
    known = await learned_long_ago(database, connection, others, state.inbox_since)
    new -= {event.event_id for event in known}
    others = [event for event in others if event.event_id in new]
    if state.erased_users:
        others = await not_erased(database, connection, others)
    seen_first = {key: latest[key] for key in first}
    touched = await merge_watches(database, connection, others, seen_first)
    return [by_id[event_id] for event_id in new], touched
