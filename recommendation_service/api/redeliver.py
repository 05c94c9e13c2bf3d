"""Redeliver: process a parked message of any kind again."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from recommendation_service.api.dependencies import AppState
from recommendation_service.consume.erasures import ErasureHandler
from recommendation_service.consume.parse import parse_event
from recommendation_service.consume.parse_lesson import parse_lesson
from recommendation_service.event import Unprocessable, is_erasure
from recommendation_service.learn.learn import LearnedBatch, learn
from recommendation_service.learn.lessons import upsert_lessons
from recommendation_service.learn.locks import lock_exclusive
from recommendation_service.learn.parked_messages import Parked, find_parked, pop_parked
from shared.broker.interface import BrokerError, Delivery
from shared.broker.topology import LESSON
from shared.errors import Conflict, Unavailable


async def redeliver(app: AppState, parked_id: UUID) -> bool:
    """Process the message, and return whether that changed anything.

    In the same transaction it stops being parked. Raises `Conflict`, and leaves the message where
    it is, when it still cannot be processed.
    """
    message = await find_parked(app.database, parked_id)
    if message.exchange == LESSON.name:
        return await _upsert_lesson(app, message)
    if is_erasure(_delivery_of(message)):
        return await _erase(app, message)
    return await _learn(app, message)


async def _learn(app: AppState, message: Parked) -> bool:
    async def transaction() -> LearnedBatch:
        async with app.database.write() as connection:
            # First, as an erasure does, which deletes parked messages.
            await lock_exclusive(connection)
            parked = await pop_parked(connection, message.id)
            with _conflict():
                event = parse_event(_delivery_of(parked), app.settings.max_message_bytes)
            return await learn(app.database, connection, [event])

    learned = await app.replica.commit(transaction)
    await app.replica.apply_committed()
    return bool(learned.events)


async def _upsert_lesson(app: AppState, message: Parked) -> bool:
    with _conflict():
        state = parse_lesson(_delivery_of(message), app.settings.max_message_bytes)
    async with app.database.write() as connection:
        await pop_parked(connection, message.id)
        [upserted] = await upsert_lessons(app.database, connection, [state])
    await app.replica.catalogue.catch_up()
    return upserted.changed


async def _erase(app: AppState, message: Parked) -> bool:
    max_bytes = app.settings.max_message_bytes
    handler = ErasureHandler(max_bytes, app.database, app.replica, app.broker)
    try:
        with _conflict():
            await handler.erase(_delivery_of(message))
    except BrokerError as error:
        raise Unavailable(f"The erasure could not be confirmed: {error}.") from error
    async with app.database.write() as connection:
        await pop_parked(connection, message.id)
    return True


@contextmanager
def _conflict() -> Iterator[None]:
    """Raise `Conflict` if the message still cannot be processed."""
    try:
        yield
    except Unprocessable as reason:
        raise Conflict(f"The message still cannot be processed: {reason.detail}.") from None


def _delivery_of(message: Parked) -> Delivery:
    """Return the message as if it were delivered again."""
    return Delivery(
        tag=0,
        message_id=message.message_id or str(message.id),  # redelivered twice, it is learned once
        routing_key=message.routing_key,
        body=message.body,
        type=None,
        timestamp=None,
        headers=message.headers,
        redelivered=True,
        delivery_count=message.attempts,
    )
