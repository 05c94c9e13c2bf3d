"""Learn: fold events into what is known, in one transaction. Folding twice changes nothing.

An event carries the whole state of its watch, and of two states the later wins, so the order of
arrival plays no part. What a user's watches amount to is when the user first met each lesson; when
that changes, the model's change is the difference between what the user's history contributed
before and what it contributes after.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.histories import Step, change_histories
from recommendation_service.merge import merge_watches
from recommendation_service.model.encoding import encode
from recommendation_service.model.fingerprint import BITS, MODULUS, fingerprint
from recommendation_service.model.history import Change
from recommendation_service.read import Event
from recommendation_service.retention import learned_long_ago
from recommendation_service.tables import inbox, model_changes, model_state
from recommendation_service.tombstones import not_erased
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


class Counted(NamedTuple):
    """How many events a transaction learned, and how many it knew."""

    applied: int = 0
    duplicates: int = 0


NOTHING: Final = Counted()


async def learn(
    database: Database, connection: AsyncConnection, events: Sequence[Event]
) -> Learned:
    """Learn the events that were not learned before."""
    state = await locked_state(connection)
    fresh = await _remember(database, connection, events, state.inbox_since)
    counting = await not_erased(database, connection, fresh) if state.erased_users else fresh
    touched = await merge_watches(database, connection, counting)
    steps, change = await change_histories(database, connection, touched)
    through = max((event.recorded_at for event in fresh), default=None)
    if state.applied_through and through:
        through = max(through, state.applied_through)
    through = through or state.applied_through
    applied = len(fresh)
    counted = Counted(applied, duplicates=len(events) - applied)
    version = await advance(connection, state, change, through, counted)
    return Learned(version, change, steps, through, fresh)


async def locked_state(connection: AsyncConnection) -> Row[Any]:
    """Return how far learning has come, and keep it until the transaction ends.

    This lock makes the learning processes take turns, so none works from a stale history.
    """
    return (await connection.execute(_STATE)).one()


async def advance(
    connection: AsyncConnection,
    state: Row[Any],
    change: Change,
    through: datetime | None,
    counted: Counted = NOTHING,
) -> int:
    """Put the change of the model into the log, and return the version after it."""
    version: int = state.version + bool(change)
    await connection.execute(
        _NEXT_STATE,
        {
            "version": version,
            "fingerprint": _fingerprint_after(state.fingerprint, change),
            "applied": state.applied + counted.applied,
            "duplicates": state.duplicates + counted.duplicates,
            "applied_through": through,
        },
    )
    await _log(connection, version, change, through)
    return version


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


async def _log(
    connection: AsyncConnection, version: int, change: Change, through: datetime | None
) -> None:
    if change:
        record = {"version": version, "change": encode(change), "applied_through": through}
        await connection.execute(_LOG, record | {"learned_at": utc_now()})


def _fingerprint_after(stored: bytes, change: Change) -> bytes:
    before = int.from_bytes(stored, "big")
    after = before + fingerprint(change.added) - fingerprint(change.removed)
    return (after % MODULUS).to_bytes(BITS // 8, "big")


# Made once: to put a statement together takes longer than to carry it out.
_STATE: Final = select(model_state).with_for_update()
_NEXT_STATE: Final = update(model_state)
_LOG: Final = insert(model_changes)
