"""RabbitMQ, as a broker: one connection for each publisher and each subscription.

An alarm of the broker blocks whole connections that publish. Consumers have their own, so they
go on, and with them the memory that the alarm is about is freed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from shared.broker.interface import Depth, Publisher, Subscription
from shared.broker.rabbitmq.connection import (
    OPEN_TIMEOUT,
    connected,
    explained,
    open_channel,
    parsed,
)
from shared.broker.rabbitmq.depth import DepthGauge
from shared.broker.rabbitmq.partitions import consuming_partitions
from shared.broker.rabbitmq.subscription import RabbitMQSubscription, subscribed
from shared.broker.rabbitmq.topology import declare_exchange, declare_queue
from shared.broker.rabbitmq.wire.abortable_connection import AbortableConnection
from shared.broker.rabbitmq.wire.batch_publish import BatchPublisher
from shared.broker.rabbitmq.wire.delivery_stream import ConsumingConnection
from shared.broker.topology import Exchange, Queue

CONFIRM_TIMEOUT: Final = 10.0  # seconds


class RabbitMQ:
    """Connects when it is used; `close` ends what is kept open between two looks at a queue."""

    def __init__(self, url: str, *, confirm_timeout: float = CONFIRM_TIMEOUT) -> None:
        self._url = url
        self._confirm_timeout = confirm_timeout
        self._gauge = DepthGauge(url)
        self._divided: dict[str, list[str]] = {}  # the queues that stand for one, as last found

    @asynccontextmanager
    async def publisher(self, exchange: Exchange) -> AsyncIterator[Publisher]:
        """Connect, declare the exchange, and publish to it while the block lasts."""
        url = parsed(self._url)
        async with connected(url, "upnext publishing", AbortableConnection) as connection:
            with explained(url):
                async with asyncio.timeout(OPEN_TIMEOUT):
                    await declare_exchange(connection, exchange)
                    channel = await open_channel(connection)
            yield BatchPublisher(channel, exchange.name, self._confirm_timeout)

    @asynccontextmanager
    async def subscription(self, queue: Queue, prefetch: int) -> AsyncIterator[Subscription]:
        """Connect, declare the queue with all it needs, and consume while the block lasts."""
        url = parsed(self._url)
        async with (
            connected(url, "upnext consuming", ConsumingConnection) as connection,
            AsyncExitStack() as stack,
        ):
            with explained(url):
                async with asyncio.timeout(OPEN_TIMEOUT):
                    subscription = await self._consume(stack, connection, queue, prefetch)
            yield subscription

    async def _consume(
        self, stack: AsyncExitStack, connection: ConsumingConnection, queue: Queue, prefetch: int
    ) -> RabbitMQSubscription:
        if queue.partitions is not None:
            consuming = consuming_partitions(connection, queue, prefetch)
            subscription, self._divided[queue.name] = await stack.enter_async_context(consuming)
            return subscription
        await declare_queue(connection, queue)
        subscription = await stack.enter_async_context(subscribed(connection, prefetch))
        await subscription.consume(queue.name)
        return subscription

    async def depth(self, queue: Queue) -> Depth:
        """Return how many messages wait in the queue and its partitions, for how many consumers.

        Partitions are known once there was a subscription.
        """
        names = self._divided.get(queue.name, [queue.name])
        whole, *parts = [await self._gauge.read(name) for name in names]
        return Depth(sum((one.ready for one in parts), whole.ready), whole.consumers)

    async def close(self) -> None:
        """Close the connection that `depth` uses."""
        await self._gauge.close()
