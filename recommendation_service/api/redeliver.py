"""Redeliver: try a parked message again, whatever it is about."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from recommendation_service.api.dependencies import AppState
from recommendation_service.consume.erasures import Eraser
from recommendation_service.consume.parse import read
from recommendation_service.consume.parse_lesson import read_lesson
from recommendation_service.event import Unprocessable, is_erasure
from recommendation_service.learn.learn import Learned, learn
from recommendation_service.learn.lessons import describe
from recommendation_service.learn.locks import alone
from recommendation_service.learn.parked import Parked, find_parked, take_parked
from shared.broker.interface import BrokerError, Delivery
from shared.broker.topology import LESSON
from shared.database.database import Database
from shared.errors import Conflict, Unavailable


async def redeliver(app: AppState, parked_id: UUID) -> bool:
    """Process the message after all, and return whether that changed anything.

    Raises `Conflict`, and leaves the message where it is, when it still cannot be processed.
    """
    message = await find_parked(app.database, parked_id)
    if message.exchange == LESSON.name:
        return await _describe(app, message)
    if is_erasure(delivery_of(message)):
        return await _erase(app, message)
    async with app.replica.learning:
        learned = await relearn_parked(app.database, parked_id, app.settings.max_message_bytes)
        app.replica.note(learned)
    await app.replica.adopt()
    return bool(learned.fresh)


async def _describe(app: AppState, message: Parked) -> bool:
    with refused():
        state = read_lesson(delivery_of(message), app.settings.max_message_bytes)
    async with app.database.write() as connection:
        await take_parked(connection, message.id)
        [done] = await describe(app.database, connection, [state])
    await app.replica.catalogue.catch_up()
    return done.changed


async def _erase(app: AppState, message: Parked) -> bool:
    with refused(), _told():
        await Eraser(app.settings.max_message_bytes, app.database, app.replica, app.broker).erase(
            delivery_of(message)
        )
    async with app.database.write() as connection:
        await take_parked(connection, message.id)
    return True


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokerError as error:
        raise Unavailable(f"Nobody could be told: {error}.") from error


async def relearn_parked(database: Database, parked_id: UUID, max_bytes: int) -> Learned:
    """Learn the message after all; in the same transaction it stops being parked.

    Raises `Conflict`, and leaves the message where it is, when it still cannot be processed.
    """
    async with database.write() as connection:
        await alone(connection)  # first, as erasing does, which discards parked messages
        message = await take_parked(connection, parked_id)
        with refused():
            event = read(delivery_of(message), max_bytes)
        return await learn(database, connection, [event])


@contextmanager
def refused() -> Iterator[None]:
    """Raise `Conflict` where a message still cannot be processed."""
    try:
        yield
    except Unprocessable as why:
        raise Conflict(f"The message still cannot be processed: {why.detail}.") from None


def delivery_of(message: Parked) -> Delivery:
    """Return the message as if it were delivered again."""
    return Delivery(
        tag=0,
        message_id=message.message_id or str(message.id),  # tried twice, it is learned once
        routing_key=message.routing_key,
        body=message.body,
        type=None,
        timestamp=None,
        headers=message.headers,
        redelivered=True,
        delivery_count=message.attempts,
    )
