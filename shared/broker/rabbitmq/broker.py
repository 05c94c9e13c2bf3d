"""RabbitMQ as a `Broker`: one connection for each publisher and each subscription.

An alarm of the broker blocks every connection that publishes. Consumers have connections of their
own, so they go on, which frees the memory that the alarm is about.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from shared.broker.interface import Depth, Publisher, Subscription
from shared.broker.rabbitmq.connection import OPEN_TIMEOUT, connected, parse_url, translated_errors
from shared.broker.rabbitmq.depth import QueueDepthReader
from shared.broker.rabbitmq.partitions import consuming_partitions
from shared.broker.rabbitmq.subscription import RabbitMQSubscription, open_subscription
from shared.broker.rabbitmq.topology import declare_exchange, declare_queue
from shared.broker.rabbitmq.wire import Client, PlainConnection, checked_client
from shared.broker.topology import Exchange, Queue

CONFIRM_TIMEOUT: Final = 10.0  # seconds


class RabbitMQ:
    """Connects when it is used; `close` ends the connection that `depth` keeps open."""

    def __init__(
        self,
        url: str,
        *,
        confirm_timeout: float = CONFIRM_TIMEOUT,
        client: Client | None = None,
    ) -> None:
        self._url = url
        self._confirm_timeout = confirm_timeout
        self._client = client or checked_client()
        self._depth_reader = QueueDepthReader(url, self._client.publishing_connection)
        self._partitions: dict[str, list[str]] = {}  # a queue and its partitions, as last found

    @asynccontextmanager
    async def publisher(self, exchange: Exchange) -> AsyncIterator[Publisher]:
        """Connect, declare the exchange, and publish to it while the block lasts."""
        url, client = parse_url(self._url), self._client
        async with connected(url, "upnext publishing", client.publishing_connection) as connection:
            with translated_errors(url):
                async with asyncio.timeout(OPEN_TIMEOUT):
                    await declare_exchange(connection, exchange)
                    channel = await connection.open_channel()
            yield client.publisher(channel, exchange.name, self._confirm_timeout)

    @asynccontextmanager
    async def subscription(self, queue: Queue, prefetch: int) -> AsyncIterator[Subscription]:
        """Connect, declare the queue with all it needs, and consume while the block lasts."""
        url, kind = parse_url(self._url), self._client.consuming_connection
        async with (
            connected(url, "upnext consuming", kind) as connection,
            AsyncExitStack() as stack,
        ):
            with translated_errors(url):
                async with asyncio.timeout(OPEN_TIMEOUT):
                    subscription = await self._consume(stack, connection, queue, prefetch)
            yield subscription

    async def _consume(
        self, stack: AsyncExitStack, connection: PlainConnection, queue: Queue, prefetch: int
    ) -> RabbitMQSubscription:
        if queue.partitions is not None:
            consuming = consuming_partitions(connection, queue, prefetch)
            subscription, self._partitions[queue.name] = await stack.enter_async_context(consuming)
            return subscription
        await declare_queue(connection, queue)
        subscription = await stack.enter_async_context(open_subscription(connection, prefetch))
        await subscription.consume(queue.name)
        return subscription

    async def depth(self, queue: Queue) -> Depth:
        """Return how many messages wait in the queue and its partitions, for how many consumers.

        The partitions are known after the first subscription.
        """
        names = self._partitions.get(queue.name, [queue.name])
        queue_depth, *partitions = [await self._depth_reader.read(name) for name in names]
        ready = sum((partition.ready for partition in partitions), queue_depth.ready)
        return Depth(ready, queue_depth.consumers)

    async def close(self) -> None:
        """Close the connection of `depth`."""
        await self._depth_reader.close()
