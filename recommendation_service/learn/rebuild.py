"""Rebuild: learn the missing watches, and compute the model again from all watches.

Watches come from the consumption service, page by page; those that were learned are skipped. Then
one transaction computes all interactions again, and the model. Replicas serve the old model until
it is committed. Where nothing was wrong, the fingerprint stays the same.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.event import Event
from recommendation_service.learn.inbox import not_learned
from recommendation_service.learn.learn import learn
from recommendation_service.learn.load_model import load_model
from recommendation_service.learn.locks import lock_exclusive
from recommendation_service.model.encoding import encode
from recommendation_service.model.history import Change
from recommendation_service.tables import (
    interactions,
    learned_watches,
    model_changes,
    model_state,
)
from shared.clock import utc_now
from shared.database.database import Database


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """The result of a rebuild."""

    watches: int  # of the consumption service
    missing: int  # of these, not learned before
    before: str  # the fingerprint, hexadecimal
    after: str


async def rebuild(database: Database, pages: AsyncIterator[Sequence[Event]]) -> RebuildResult:
    """Rebuild the model from these watches and from all that were learned."""
    watches = missing = 0
    async for page in pages:
        watches += len(page)
        missing += await _learn_missing(database, page)
    async with database.write() as connection:
        before, after = await _recompute(connection)
    return RebuildResult(watches, missing, before.hex(), after.hex())


async def _learn_missing(database: Database, page: Sequence[Event]) -> int:
    async with database.write() as connection:
        unknown = await not_learned(database, connection, page)
        if unknown:
            await learn(database, connection, unknown)
    return len(unknown)


async def _recompute(connection: AsyncConnection) -> tuple[bytes, bytes]:
    """Compute the interactions and the model again; return the fingerprints before and after."""
    state = await lock_exclusive(connection)
    await connection.execute(delete(interactions))
    pair = learned_watches.c.user_id, learned_watches.c.lesson_id
    first = select(*pair, func.min(learned_watches.c.occurred_at))
    first = first.where(learned_watches.c.deleted.is_(False)).group_by(*pair)
    await connection.execute(insert(interactions).from_select(interactions.c.keys(), first))
    model = await load_model(connection)
    fingerprint = model.fingerprint.to_bytes(len(state.fingerprint), "big")
    # A gap in the log makes every replica load its model again.
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
