"""Parked messages: those that cannot be processed, each with its reason."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ValidationError
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.event import ParkReason, Unprocessable
from recommendation_service.tables import parked
from shared.broker.interface import Delivery
from shared.broker.topology import WATCH, Exchange
from shared.clock import utc_now
from shared.database.bulk import delete_rows
from shared.database.database import Database
from shared.errors import NotFound
from shared.events import Instant, Kind, UserErased
from shared.ids import Natural, UserId
from shared.uuid7 import new_id

log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 2**31 - 1  # of the column; a header of the producer may say more
DEATH_REASON: Final = "x-first-death-reason"  # RabbitMQ's header on a dead-lettered message


class RejectedDelivery(NamedTuple):
    """A delivery that cannot be processed, and the reason."""

    delivery: Delivery
    why: Unprocessable


class Parked(NamedTuple):
    """A parked message: a row of `parked`."""

    id: UUID
    reason: str
    detail: str
    message_id: str | None
    exchange: str
    routing_key: str
    headers: dict[str, Any]
    body: bytes
    attempts: int
    parked_at: datetime


COLUMNS: Final = [parked.c[name] for name in Parked._fields]


async def park(
    connection: AsyncConnection, rejected: Sequence[RejectedDelivery], exchange: Exchange = WATCH
) -> None:
    """Park messages of the exchange."""
    if not rejected:
        return
    now = utc_now()
    rows = [
        Parked(
            new_id(),
            why.reason.value,
            _text(why.detail),
            None if delivery.message_id is None else _text(delivery.message_id),
            exchange.name,
            _text(delivery.routing_key),
            {name: _storable(value) for name, value in delivery.headers.items()},
            delivery.body,
            min(delivery.delivery_count + 1, MAX_ATTEMPTS),
            now,
        )._asdict()
        for delivery, why in rejected
    ]
    for row in rows:
        event = {"event_id": row["message_id"]}
        log.warning("parked a message: %s: %s", row["reason"], row["detail"], extra=event)
    await connection.execute(insert(parked), rows)


def dead_lettered(delivery: Delivery) -> RejectedDelivery:
    """Return a message that the broker dead-lettered, under its first routing key."""
    why = str(delivery.headers.get(DEATH_REASON, "no reason given"))
    original = delivery._replace(routing_key=_original_routing_key(delivery))
    return RejectedDelivery(original, Unprocessable(ParkReason.DEAD_LETTERED, why))


def not_learnable(delivery: Delivery, error: Exception) -> RejectedDelivery:
    """Return a message that failed with an unforeseen error."""
    detail = f"{type(error).__name__}: {error}"
    return RejectedDelivery(delivery, Unprocessable(ParkReason.NOT_LEARNABLE, detail))


def _original_routing_key(delivery: Delivery) -> str:
    deaths = delivery.headers.get("x-death")
    if isinstance(deaths, list) and deaths:
        return str(deaths[0]["routing-keys"][0])
    return delivery.routing_key


def _storable(value: object) -> object:
    return value if isinstance(value, str | int | float | None) else str(value)


def _text(text: str) -> str:
    """Return the text without NUL, which PostgreSQL cannot store."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


async def list_parked(database: Database, before: UUID | None, limit: int) -> list[Parked]:
    """Return the messages that were parked last, newest first."""
    query = select(*COLUMNS).order_by(parked.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(parked.c.id < before)
    async with database.read() as connection:
        return [Parked(*row) for row in await connection.execute(query)]


async def find_parked(database: Database, parked_id: UUID) -> Parked:
    """Return the message, or raise `NotFound`."""
    async with database.read() as connection:
        query = select(*COLUMNS).where(parked.c.id == parked_id)
        row = (await connection.execute(query)).first()
    return _found(row, parked_id)


async def count_parked(database: Database) -> int:
    """Return how many messages are parked now."""
    async with database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(parked)) or 0


async def count_by_reason(connection: AsyncConnection) -> dict[str, int]:
    """Return how many messages are parked now, by reason."""
    query = select(parked.c.reason, func.count()).group_by(parked.c.reason)
    return {row.reason: row[1] for row in await connection.execute(query)}


async def pop_parked(connection: AsyncConnection, parked_id: UUID) -> Parked:
    """Delete the message, and return it, or raise `NotFound`."""
    this_one = delete(parked).where(parked.c.id == parked_id).returning(*COLUMNS)
    return _found((await connection.execute(this_one)).first(), parked_id)


def _found(row: Any, parked_id: UUID) -> Parked:
    if row is None:
        raise NotFound(f"There is no parked message {parked_id}.")
    return Parked(*row)


async def delete_parked_of(connection: AsyncConnection, erasure: UserErased) -> None:
    """Delete the parked messages of an erased user, as far as they can be read."""
    columns = parked.c.id, parked.c.body, parked.c.parked_at
    query = select(*columns).where(
        parked.c.exchange == WATCH.name, parked.c.routing_key != Kind.ERASED
    )
    theirs = [
        parked_id
        for parked_id, body, parked_at in await connection.execute(query)
        if (owned := _owned(body)) and owned.user_id == erasure.user_id
        if (owned.recorded_at or parked_at) <= erasure.erased_at
    ]
    await delete_rows(connection, parked.c.id, theirs)


class _Owned(BaseModel):
    """The fields of a message that tell whether an erasure is about it."""

    user_id: Natural[UserId]
    recorded_at: Instant | None = None


def _owned(body: bytes) -> _Owned | None:
    try:
        return _Owned.model_validate_json(body)
    except ValidationError:
        return None
