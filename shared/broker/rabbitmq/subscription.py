"""Deliveries of a RabbitMQ queue, or of several, in order, acknowledged many at a time."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import ChannelInvalidStateError
from pamqp.commands import Basic

from shared.broker.interface import BrokerUnavailable, Delivery
from shared.broker.rabbitmq.connection import LOST, open_channel
from shared.broker.rabbitmq.topology import LAST_DECLARED, find_queue
from shared.broker.rabbitmq.wire.delivery_stream import ConsumingConnection

log = logging.getLogger(__name__)

CANCEL_TIMEOUT: Final = 2.0  # seconds for the broker to process the last acknowledgements


class RabbitMQSubscription:
    """What the consumers of one channel receive.

    It ends with its channel, or when the broker cancels one of them.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._consumers: list[str] = []  # their tags
        self.heard: set[bytes] = set()  # tags of those that got something; whoever looks empties it
        self._buffer: deque[Delivery] = deque()
        self._unsettled: deque[int] = deque()  # tags, rising
        self._changed = asyncio.Event()
        self._loss: str | None = None
        # Kept, because the observer alone does not keep itself alive.
        self._closing = channel.closing
        self._closing.add_done_callback(lambda _: self.lose("the consuming channel was lost"))
        channel.on_consumer_cancel_callbacks.add(self._on_cancel)

    async def consume(self, queue: str) -> str:
        """Receive what this queue holds, too; return the tag of the consumer."""
        await find_queue(self._channel, queue)
        consumer = await self._channel.basic_consume(LAST_DECLARED, _taken_before)
        tag = str(consumer.consumer_tag)
        self._consumers.append(tag)
        return tag

    async def cancel(self, consumer: str) -> None:
        """Receive no more by this consumer; what it has received is settled as ever."""
        self._consumers.remove(consumer)
        await self._channel.basic_cancel(consumer)

    async def receive(self, limit: int) -> list[Delivery]:
        """Wait for a delivery, and return it with those that are there already."""
        while not self._buffer and self._loss is None:
            self._changed.clear()
            await self._changed.wait()
        if self._loss is not None:
            raise BrokerUnavailable(self._loss)
        size = min(limit, len(self._buffer))
        return [self._buffer.popleft() for _ in range(size)]

    async def ack_up_to(self, tag: int) -> None:
        """Acknowledge this delivery and all earlier ones that are not settled."""
        last = None
        while self._unsettled and self._unsettled[0] <= tag:
            last = self._unsettled.popleft()
        # A tag that is settled already, as after `reject`, must not be named again: the broker
        # would close the channel.
        if last is not None and self._loss is None:
            await self._send_ack(last, multiple=True)

    async def ack(self, tag: int) -> None:
        """Acknowledge this delivery alone."""
        if tag in self._unsettled and self._loss is None:
            self._unsettled.remove(tag)
            await self._send_ack(tag, multiple=False)

    async def _send_ack(self, tag: int, *, multiple: bool) -> None:
        try:
            await self._channel.basic_ack(tag, multiple=multiple, wait=False)
        except ChannelInvalidStateError:
            log.info("acknowledgements went down with the channel: the deliveries come again")

    async def reject(self, tag: int) -> None:
        """Refuse this delivery for good: the broker dead-letters it."""
        if tag not in self._unsettled or self._loss is not None:
            return
        self._unsettled.remove(tag)
        try:
            await self._channel.basic_reject(tag, requeue=False, wait=False)
        except ChannelInvalidStateError:
            log.info("a rejection went down with the channel: the delivery comes again")

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Put the deliveries in line."""
        self.heard.update([one.consumer for one in deliveries])
        self._unsettled.extend([one.tag for one in deliveries])
        self._buffer.extend(deliveries)
        self._changed.set()

    def _on_cancel(self, _: Basic.Cancel) -> None:
        self.lose("the broker cancelled the consumer, as it does when a queue is deleted")

    def lose(self, reason: str) -> None:
        """Let `receive` raise, for this reason unless there is one already."""
        self._loss = self._loss or reason
        self._changed.set()

    def end(self) -> None:
        """Receive nothing any more."""
        self._closing.cancel()
        self.lose("the subscription has ended")

    async def leave(self) -> None:
        """Cancel the last consumer first, and wait: acknowledgements before are processed by then.

        A quorum queue may ignore acknowledgements that were sent just before the channel closes.
        """
        if self._channel.is_closed:
            return
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT):
                for consumer in self._consumers[::-1]:
                    await self.cancel(consumer)
        except (TimeoutError, *LOST) as error:
            log.info("a consumer was not cancelled, its last messages may come again: %r", error)


@asynccontextmanager
async def subscribed(
    connection: ConsumingConnection, prefetch: int
) -> AsyncIterator[RabbitMQSubscription]:
    """Open a subscription, which consumes nothing yet, for the length of the block."""
    channel = await open_channel(connection)
    subscription = RabbitMQSubscription(channel)
    connection.take(channel.number, subscription.take)
    await channel.basic_qos(prefetch_count=prefetch)
    try:
        yield subscription
    finally:
        subscription.end()
        await subscription.leave()


async def _taken_before(_: DeliveredMessage) -> None:
    """Do nothing: aiormq asks for it, and never sees a delivery."""
