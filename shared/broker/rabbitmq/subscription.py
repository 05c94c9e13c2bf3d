"""A subscription: deliveries of one or several RabbitMQ queues, acknowledged many at a time."""

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
from shared.broker.rabbitmq.connection import LOST_ERRORS
from shared.broker.rabbitmq.topology import LAST_DECLARED, find_queue
from shared.broker.rabbitmq.wire import PlainConnection, plain_delivery

log = logging.getLogger(__name__)

CANCEL_TIMEOUT: Final = 2.0  # seconds for the broker to process the last acknowledgements


class RabbitMQSubscription:
    """The deliveries to the consumers of one channel.

    It fails when the channel is lost, or when the broker cancels one of the consumers.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._consumers: list[str] = []  # their tags
        self.active: set[bytes] = set()  # tags of consumers with deliveries; the reader empties it
        self._buffer: deque[Delivery] = deque()
        self._unsettled: deque[int] = deque()  # tags, rising
        self._changed = asyncio.Event()
        self._failure: str | None = None
        # Nothing else keeps a reference to this observer.
        self._closing = channel.closing
        self._closing.add_done_callback(lambda _: self.fail("the consuming channel was lost"))
        channel.on_consumer_cancel_callbacks.add(self._on_cancel)

    async def consume(self, queue: str) -> str:
        """Start a consumer of this queue; return its tag."""
        await find_queue(self._channel, queue)
        consumer = await self._channel.basic_consume(LAST_DECLARED, self._on_message)
        tag = str(consumer.consumer_tag)
        self._consumers.append(tag)
        return tag

    async def cancel(self, consumer: str) -> None:
        """Cancel this consumer; what it has received is settled as usual."""
        self._consumers.remove(consumer)
        await self._channel.basic_cancel(consumer)

    async def receive(self, limit: int) -> list[Delivery]:
        """Wait for a delivery, and return it with those that are there already."""
        while not self._buffer and self._failure is None:
            self._changed.clear()
            await self._changed.wait()
        if self._failure is not None:
            raise BrokerUnavailable(self._failure)
        size = min(limit, len(self._buffer))
        return [self._buffer.popleft() for _ in range(size)]

    async def ack_up_to(self, tag: int) -> None:
        """Acknowledge this delivery and all earlier ones that are not settled."""
        last = None
        while self._unsettled and self._unsettled[0] <= tag:
            last = self._unsettled.popleft()
        # The broker closes the channel over a tag that is settled already, as after `reject`.
        if last is not None and self._failure is None:
            await self._send_ack(last, multiple=True)

    async def ack(self, tag: int) -> None:
        """Acknowledge this delivery alone."""
        if tag in self._unsettled and self._failure is None:
            self._unsettled.remove(tag)
            await self._send_ack(tag, multiple=False)

    async def _send_ack(self, tag: int, *, multiple: bool) -> None:
        try:
            await self._channel.basic_ack(tag, multiple=multiple, wait=False)
        except ChannelInvalidStateError:
            log.info("acknowledgements were lost with the channel: the deliveries come again")

    async def reject(self, tag: int) -> None:
        """Reject this delivery for good: the broker dead-letters it."""
        if tag not in self._unsettled or self._failure is not None:
            return
        self._unsettled.remove(tag)
        try:
            await self._channel.basic_reject(tag, requeue=False, wait=False)
        except ChannelInvalidStateError:
            log.info("a rejection was lost with the channel: the delivery comes again")

    async def _on_message(self, message: DeliveredMessage) -> None:
        """Enqueue a delivery that is not diverted from aiormq."""
        self.enqueue([plain_delivery(message)])

    def enqueue(self, deliveries: Sequence[Delivery]) -> None:
        """Let `receive` return the deliveries."""
        self.active.update([one.consumer for one in deliveries])
        self._unsettled.extend([one.tag for one in deliveries])
        self._buffer.extend(deliveries)
        self._changed.set()

    def _on_cancel(self, _: Basic.Cancel) -> None:
        self.fail("the broker cancelled the consumer, as it does when a queue is deleted")

    def fail(self, reason: str) -> None:
        """Let `receive` raise, with this reason or an earlier one."""
        self._failure = self._failure or reason
        self._changed.set()

    def close(self) -> None:
        """Receive nothing any more."""
        self._closing.cancel()
        self.fail("the subscription has ended")

    async def cancel_consumers(self) -> None:
        """Cancel all consumers, the last one first, and wait until the broker has done so.

        By then it has processed the acknowledgements. A quorum queue may ignore those that are sent
        just before the channel closes.
        """
        if self._channel.is_closed:
            return
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT):
                for consumer in self._consumers[::-1]:
                    await self.cancel(consumer)
        except (TimeoutError, *LOST_ERRORS) as error:
            log.info("a consumer was not cancelled, its last messages may come again: %r", error)


@asynccontextmanager
async def open_subscription(
    connection: PlainConnection, prefetch: int
) -> AsyncIterator[RabbitMQSubscription]:
    """Open a subscription, which has no consumers yet, for the length of the block."""
    channel = await connection.open_channel()
    subscription = RabbitMQSubscription(channel)
    connection.divert_deliveries(channel.number, subscription.enqueue)
    await channel.basic_qos(prefetch_count=prefetch)
    try:
        yield subscription
    finally:
        subscription.close()
        await subscription.cancel_consumers()
