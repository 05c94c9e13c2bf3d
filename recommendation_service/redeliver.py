"""Redeliver: try a parked message again, whatever it is about."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from recommendation_service.describe import describe
from recommendation_service.eraser import Eraser, is_erasure
from recommendation_service.opened import State
from recommendation_service.park import (
    Parked,
    delivery_of,
    find_parked,
    refused,
    retry_parked,
    take_parked,
)
from recommendation_service.read_lesson import read_lesson
from shared.broker.interface import BrokerError
from shared.broker.topology import LESSON
from shared.errors import Unavailable


async def redeliver(opened: State, parked_id: UUID) -> bool:
    """Process the message after all, and return whether that changed anything.

    Raises `Conflict`, and leaves the message where it is, when it still cannot be processed.
    """
    message = await find_parked(opened.database, parked_id)
    if message.exchange == LESSON.name:
        return await _describe(opened, message)
    if is_erasure(delivery_of(message)):
        return await _erase(opened, message)
    async with opened.follower.learning:
        learned = await retry_parked(opened.database, parked_id, opened.settings.max_message_bytes)
        opened.follower.note(learned)
    await opened.follower.adopt()
    return bool(learned.fresh)


async def _describe(opened: State, message: Parked) -> bool:
    with refused():
        state = read_lesson(delivery_of(message), opened.settings.max_message_bytes)
    async with opened.database.write() as connection:
        await take_parked(connection, message.id)
        [done] = await describe(opened.database, connection, [state])
    await opened.follower.catalogue.catch_up()
    return done.changed


async def _erase(opened: State, message: Parked) -> bool:
    with refused(), _told():
        await Eraser(
            opened.settings.max_message_bytes, opened.database, opened.follower, opened.broker
        ).erase(delivery_of(message))
    async with opened.database.write() as connection:
        await take_parked(connection, message.id)
    return True


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokerError as error:
        raise Unavailable(f"Nobody could be told: {error}.") from error
