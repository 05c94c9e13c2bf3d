"""Erase: keep nothing of a user, and tell the exchange, in one transaction.

What stays is the receipt. Its time is the tombstone: events recorded until then may still be under
way, and count no longer wherever they arrive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from consumption_service.event import OutboxEvent
from consumption_service.record.locks import bump_erasure_epoch
from consumption_service.tables import erasures, idempotency_keys, outbox, watches, xapi_sessions
from shared.database.database import Database
from shared.errors import NotFound
from shared.events import Kind, UserErased
from shared.ids import UserId
from shared.uuid7 import new_id

ABOUT_USERS = (watches, idempotency_keys, xapi_sessions, outbox)


@dataclass(frozen=True, slots=True)
class Erasure:
    """The receipt of an erasure, as it is stored."""

    id: UUID
    user_id: UserId
    erased_at: datetime
    recommendation_done_at: datetime | None = None


async def erase(
    user_id: UserId, database: Database, connection: AsyncConnection, now: datetime
) -> tuple[Erasure, Sequence[OutboxEvent]]:
    """Erase the user; nothing may be recorded at the same time."""
    latest = select(func.max(watches.c.recorded_at)).where(watches.c.user_id == user_id)
    # A clock that was set back must not leave a watch on the far side of its tombstone.
    erased_at = max(now, await connection.scalar(latest) or now)
    await bump_erasure_epoch(database, connection)
    for table in ABOUT_USERS:
        await connection.execute(delete(table).where(table.c.user_id == user_id))
    erasure = Erasure(new_id(), user_id, erased_at)
    row = {"id": erasure.id, "user_id": user_id, "erased_at": erased_at}
    await connection.execute(insert(erasures).values(row))
    event = _event_of(erasure)
    told = {"event_id": event.event_id, "kind": event.kind.value, "body": event.body}
    await connection.execute(insert(outbox).values(told))
    return erasure, [event]


def _event_of(erasure: Erasure) -> OutboxEvent:
    """Return the event. It belongs to no user, so that the next erasure leaves it alone."""
    said = UserErased(user_id=erasure.user_id, erasure_id=erasure.id, erased_at=erasure.erased_at)
    return OutboxEvent(erasure.id, Kind.ERASED, said.model_dump_json())


async def find_erasure(database: Database, erasure_id: UUID) -> Erasure:
    """Return the receipt, or raise `NotFound`."""
    query = select(erasures).where(erasures.c.id == erasure_id)
    async with database.read() as connection:
        row = (await connection.execute(query)).first()
    if row is None:
        raise NotFound(f"There is no erasure {erasure_id}.")
    return Erasure(*row)
