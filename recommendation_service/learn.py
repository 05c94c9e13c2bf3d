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

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.histories import Step, change_histories
from recommendation_service.merge import merge_watches
from recommendation_service.model.encoding import encode
from recommendation_service.model.fingerprint import BITS, MODULUS, fingerprint
from recommendation_service.model.history import Change
from recommendation_service.read import Event
from recommendation_service.retention import learned_long_ago
from recommendation_service.stored_meetings import bounds_of
from recommendation_service.tables import inbox, model_changes, model_state
from recommendation_service.tombstones import not_erased
from recommendation_service.turn import learn_beside_others
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


class News(NamedTuple):
    """What a transaction found out."""

    change: Change = Change()
    through: datetime | None = None  # when the latest event was recorded
    applied: int = 0  # events that were learned
    duplicates: int = 0  # events that were known


class Advanced(NamedTuple):
    """The version of the model after a transaction, and how it came about."""

    version: int
    change: Change
    through: datetime | None


async def learn(
    database: Database, connection: AsyncConnection, events: Sequence[Event]
) -> Learned:
    """Learn the events that were not learned before."""
    state = await learn_beside_others(connection, {event.user_id for event in events})
    fresh = await _remember(database, connection, events, state.inbox_since)
    counting = await not_erased(database, connection, fresh) if state.erased_users else fresh
    touched = await merge_watches(database, connection, counting)
    steps, change = await change_histories(database, connection, touched)
    applied = len(fresh)
    news = News(
        change,
        max((event.recorded_at for event in fresh), default=None),
        applied,
        duplicates=len(events) - applied,
    )
    version, change, through = await advance(database, connection, news, state)
    return Learned(version, change, steps, through, fresh)


async def advance(
    database: Database, connection: AsyncConnection, news: News, state: Row[Any] | None = None
) -> Advanced:
    """Make the news the next version of the model, and put its change into the log.

    From here until the end of the transaction learners take turns. So the versions appear in their
    order, and each sees what those before it left: the `state` of the beginning, as a rule.
    """
    if state is None or news.change.lost:
        state = (await connection.execute(_STATE)).one()
        news = news._replace(change=await _dated(database, connection, news.change))
    while (advanced := await _follow(connection, state, news)) is None:
        state = (await connection.execute(_STATE)).one()  # and nobody else changes it from now on
    return advanced


async def _follow(connection: AsyncConnection, state: Row[Any], news: News) -> Advanced | None:
    """Let the news follow this state; None where another came in between."""
    change = news.change
    difference = fingerprint(change.added) - fingerprint(change.removed)
    version = state.version + bool(change)
    through = max(filter(None, (state.applied_through, news.through)), default=None)
    following = {
        "version": version,
        "fingerprint": _plus(state.fingerprint, difference),
        "applied": state.applied + news.applied,
        "duplicates": state.duplicates + news.duplicates,
        "applied_through": through,
    }
    counted = {"known": state.version, "counted": state.applied + state.duplicates}
    if (await connection.execute(_NEXT_STATE, following | counted)).rowcount == 0:
        return None
    if change:
        record = {"version": version, "change": encode(change), "applied_through": through}
        await connection.execute(_LOG, record | {"learned_at": utc_now()})
    return Advanced(version, change, through)


async def _dated(database: Database, connection: AsyncConnection, change: Change) -> Change:
    """Return the change with when the lessons that lost a meeting are met now."""
    if not change.lost:
        return change
    return change.with_bounds(await bounds_of(database, connection, change.lost))


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


def _plus(stored: bytes, difference: int) -> bytes:
    after = int.from_bytes(stored, "big") + difference
    return (after % MODULUS).to_bytes(BITS // 8, "big")


# Made once: to put a statement together takes longer than to carry it out.
_STATE: Final = select(model_state).with_for_update(key_share=True)
_NEXT_STATE: Final = update(model_state).where(
    model_state.c.version == bindparam("known"),
    model_state.c.applied + model_state.c.duplicates == bindparam("counted"),
)
_LOG: Final = insert(model_changes)
