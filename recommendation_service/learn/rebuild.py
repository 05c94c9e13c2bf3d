"""Rebuild: learn what is missing, and fold the model anew from all watches.

Watches come from the consumption service, page by page; those that were learned already are
skipped. Then, in one transaction, when each user first met each lesson is computed again from all
watches, and with it the model. Whoever serves goes on with the old model until that is committed.
Where nothing was wrong, the fingerprint is the same afterwards.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.event import Event
from recommendation_service.learn.inbox import learned_long_ago
from recommendation_service.learn.learn import learn
from recommendation_service.learn.load_model import fold_model
from recommendation_service.learn.locks import alone
from recommendation_service.learn.model_state import read_model_state
from recommendation_service.model.encoding import encode
from recommendation_service.model.history import Change
from recommendation_service.tables import (
    inbox,
    learned_watches,
    meetings,
    model_changes,
    model_state,
)
from shared.clock import utc_now
from shared.database.database import Database


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found."""

    watches: int  # that the consumption service has
    missing: int  # of these, not learned before
    before: str  # fingerprints
    after: str


async def rebuild(database: Database, pages: AsyncIterator[Sequence[Event]]) -> Rebuilt:
    """Rebuild the model from these watches and from all that were learned."""
    watches = missing = 0
    async for page in pages:
        watches += len(page)
        missing += await _learn_missing(database, page)
    async with database.write() as connection:
        before, after = await _fold_anew(connection)
    return Rebuilt(watches, missing, before.hex(), after.hex())


async def _learn_missing(database: Database, page: Sequence[Event]) -> int:
    async with database.write() as connection:
        unknown = await _not_yet_learned(database, connection, page)
        if unknown:
            await learn(database, connection, unknown)
    return len(unknown)


async def _not_yet_learned(
    database: Database, connection: AsyncConnection, events: Sequence[Event]
) -> list[Event]:
    """Return the events that were not learned before, each once: none is counted as come again."""
    by_id = {event.event_id: event for event in events}
    known = select(inbox.c.event_id).where(database.is_any_of(inbox.c.event_id, list(by_id)))
    for event_id in await connection.scalars(known):
        del by_id[event_id]
    since = (await read_model_state(connection)).inbox_since
    for event in await learned_long_ago(database, connection, list(by_id.values()), since):
        del by_id[event.event_id]
    return list(by_id.values())


async def _fold_anew(connection: AsyncConnection) -> tuple[bytes, bytes]:
    """Compute the meetings and the model again; return the fingerprints before and after."""
    state = await alone(connection)
    await connection.execute(delete(meetings))
    pair = learned_watches.c.user_id, learned_watches.c.lesson_id
    first = select(*pair, func.min(learned_watches.c.occurred_at))
    first = first.where(learned_watches.c.deleted.is_(False)).group_by(*pair)
    await connection.execute(insert(meetings).from_select(meetings.c.keys(), first))
    model = await fold_model(connection)
    fingerprint = model.fingerprint.to_bytes(len(state.fingerprint), "big")
    # The log has a gap now, which tells every process to fold its model anew.
    version = state.version + 2
    await connection.execute(update(model_state).values(version=version, fingerprint=fingerprint))
    await connection.execute(delete(model_changes))
    await connection.execute(
        insert(model_changes).values(
            version=version,
            change=encode(Change()),
            applied_through=state.applied_through,
            learned_at=utc_now(),
        )
    )
    return state.fingerprint, fingerprint
