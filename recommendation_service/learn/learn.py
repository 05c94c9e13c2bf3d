"""Learn: one transaction from a batch of events to the next version of the model.

    lock_users        locks.py          no other learner has these users
    store_events      inbox.py          the events that are new, and the changes of their watches
    changed_pairs     watch_states.py   the users and lessons that these are about
    change_histories  histories.py      the changes of interactions, and of the model
    append            change_log.py     the next version, for every replica

To learn an event twice changes nothing. An event carries the whole state of its watch, and of two
states the later wins, so the order of arrival plays no part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.event import Event
from recommendation_service.learn.change_log import LogEntry, append
from recommendation_service.learn.histories import ModelStep, change_histories
from recommendation_service.learn.inbox import store_events
from recommendation_service.learn.locks import lock_users
from recommendation_service.learn.watch_states import changed_pairs
from recommendation_service.model.history import Change
from shared.database.database import Database


@dataclass(frozen=True, slots=True)
class LearnedBatch:
    """What a transaction learned; effective once it is committed."""

    version: int  # of the model, after it
    change: Change
    steps: Sequence[ModelStep]  # the same change, step by step
    applied_through: datetime | None
    events: Sequence[Event]  # those that were not learned before


async def learn(
    database: Database, connection: AsyncConnection, events: Sequence[Event]
) -> LearnedBatch:
    """Learn the events that were not learned before."""
    state = await lock_users(connection, {event.user_id for event in events})
    stored = await store_events(database, connection, events, state)
    changes = await change_histories(database, connection, changed_pairs(stored.changes))
    new = stored.events
    entry = LogEntry(
        changes.change,
        changes.interactions,
        through=max((event.recorded_at for event in new), default=None),
        applied=len(new),
        duplicates=len(events) - len(new),
    )
    version = await append(database, connection, entry, state)
    return LearnedBatch(version.number, version.change, changes.steps, version.through, new)
