"""Erase: delete all rows of a user, and write the event of the erasure, in one transaction.

The receipt stays. Its time is the tombstone. An event recorded until then may still be in flight:
every receiver ignores it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from consumption_service.event import OutboxEvent
from consumption_service.record.group_commit import GroupCommit
from consumption_service.record.locks import bump_erasure_epoch
from consumption_service.tables import erasures, idempotency_keys, outbox, watches, xapi_sessions
from shared.database.database import Database
from shared.errors import NotFound
from shared.events import Kind, UserErased
from shared.ids import UserId
from shared.uuid7 import new_id

USER_TABLES: Final = (watches, idempotency_keys, xapi_sessions, outbox)


@dataclass(frozen=True, slots=True)
class Erasure:
    """The receipt of an erasure, as it is stored."""

    id: UUID
    user_id: UserId
    erased_at: datetime
    recommendation_done_at: datetime | None = None


async def erase(database: Database, group_commit: GroupCommit, user_id: UserId) -> Erasure:
    """Erase the user, and publish none of the user's events that are still in memory."""

    async def work(
        connection: AsyncConnection, now: datetime
    ) -> tuple[Erasure, Sequence[OutboxEvent]]:
        erasure, events = await erase_rows(database, connection, user_id, now)
        # Under the exclusive lock: the next time is later, however far the clock was set back.
        group_commit.timestamps.advance_to(erasure.erased_at)
        return erasure, events

    erasure = await group_commit.transact(work, max_events=1, exclusive=True)
    group_commit.relay.drop_user(user_id)
    return erasure


async def erase_rows(
    database: Database, connection: AsyncConnection, user_id: UserId, now: datetime
) -> tuple[Erasure, Sequence[OutboxEvent]]:
    """Delete the user's rows, and write the receipt and its event; the caller has the lock."""
    latest = select(func.max(watches.c.recorded_at)).where(watches.c.user_id == user_id)
    # If the clock was set back, a watch may have a later time: the tombstone must cover it.
    erased_at = max(now, await connection.scalar(latest) or now)
    await bump_erasure_epoch(database, connection)
    for table in USER_TABLES:
        await connection.execute(delete(table).where(table.c.user_id == user_id))
    erasure = Erasure(new_id(), user_id, erased_at)
    row = {"id": erasure.id, "user_id": user_id, "erased_at": erased_at}
    await connection.execute(insert(erasures).values(row))
    event = _event_of(erasure)
    event_row = {"event_id": event.event_id, "kind": event.kind.value, "body": event.body}
    await connection.execute(insert(outbox).values(event_row))
    return erasure, [event]


def _event_of(erasure: Erasure) -> OutboxEvent:
    """Return the event. Its row has no user id, so the user's next erasure does not delete it."""
    body = UserErased(user_id=erasure.user_id, erasure_id=erasure.id, erased_at=erasure.erased_at)
    return OutboxEvent(erasure.id, Kind.ERASED, body.model_dump_json())


async def find_erasure(database: Database, erasure_id: UUID) -> Erasure:
    """Return the receipt, or raise `NotFound`."""
    query = select(erasures).where(erasures.c.id == erasure_id)
    async with database.read() as connection:
        row = (await connection.execute(query)).first()
    if row is None:
        raise NotFound(f"There is no erasure {erasure_id}.")
    return Erasure(*row)
