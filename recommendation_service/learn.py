"""Learn: fold events into what is known, in one transaction. Folding twice changes nothing.

An event carries the whole state of its watch, and of two states the later wins, so the order of
arrival plays no part. What a user's watches amount to is when the user first met each lesson; when
that changes, the model's change is the difference between what the user's history contributed
before and what it contributes after.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.histories import Step, change_histories
from recommendation_service.merge import merge_watches
from recommendation_service.model.encoding import encode
from recommendation_service.model.fingerprint import BITS, MODULUS, fingerprint
from recommendation_service.model.history import Change
from recommendation_service.read import Event
from recommendation_service.retention import learned_long_ago
from recommendation_service.tables import inbox, model_changes, model_state
from shared.bulk import insert_new_rows
from shared.database import Database
from shared.events import utc_now


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
    # This lock makes the learning processes take turns, so none works from a stale history.
    state = (await connection.execute(_STATE)).one()
    fresh = await _remember(database, connection, events, state.inbox_since)
    touched = await merge_watches(database, connection, fresh)
    steps, change = await change_histories(database, connection, touched)
    version = state.version + bool(change)
    through = max((event.recorded_at for event in fresh), default=None)
    if state.applied_through and through:
        through = max(through, state.applied_through)
    learned = Learned(version, change, steps, through or state.applied_through, fresh)
    await connection.execute(
        _NEXT_STATE,
        {
            "version": version,
            "fingerprint": _fingerprint_after(state.fingerprint, change),
            "applied": state.applied + len(fresh),
            "duplicates": state.duplicates + len(events) - len(fresh),
            "applied_through": learned.applied_through,
        },
    )
    await _log(connection, learned)
    return learned


async def _remember(
    database: Database,
    connection: AsyncConnection,
    events: Sequence[Event],
    inbox_since: datetime | None,
) -> list[Event]:
    """Remember the events, and return those that were not learned before, each once."""
    by_id = {event.event_id: event for event in events}
    now = utc_now()
    ids = await insert_new_rows(connection, inbox, [(event_id, now) for event_id in sorted(by_id)])
    new = {event_id: by_id[event_id] for (event_id,) in ids}
    for event in await learned_long_ago(database, connection, list(new.values()), inbox_since):
        del new[event.event_id]
    return list(new.values())


async def _log(connection: AsyncConnection, learned: Learned) -> None:
    if learned.change:
        await connection.execute(
            _LOG,
            {
                "version": learned.version,
                "change": encode(learned.change),
                "applied_through": learned.applied_through,
                "learned_at": utc_now(),
            },
        )


def _fingerprint_after(stored: bytes, change: Change) -> bytes:
    before = int.from_bytes(stored, "big")
    after = before + fingerprint(change.added) - fingerprint(change.removed)
    return (after % MODULUS).to_bytes(BITS // 8, "big")


# Made once: to put a statement together takes longer than to carry it out.
_STATE: Final = select(model_state).with_for_update()
_NEXT_STATE: Final = update(model_state)
_LOG: Final = insert(model_changes)
