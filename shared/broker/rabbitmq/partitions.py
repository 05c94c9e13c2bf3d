"""The partitions of a queue: found, consumed, shared, and changed in number without a loss.

The queue itself stays, and everybody consumes it first, however many partitions they want. So its
consumers are all there are. Everybody then looks for partitions, consumes all that exist, and last
the ballot of the number they want. When the ballot has as many consumers as the queue, everybody
wants this number and consumes what is to receive messages. Only then bindings are changed: what is
missing is bound before the rest is unbound. Processes that want different numbers, or know nothing
of partitions, so change nothing as long as they are side by side.

Nothing is deleted. RabbitMQ deletes a quorum queue whatever it holds, and between a look and the
deletion a message may arrive. What a partition held when it was unbound is consumed like the rest.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed

from shared.broker.rabbitmq.connection import LOST, open_channel, passing_channel
from shared.broker.rabbitmq.depth import NO_SUCH_QUEUE
from shared.broker.rabbitmq.subscription import RabbitMQSubscription, subscribed
from shared.broker.rabbitmq.topology import bind, declare, find_queue, unbind
from shared.broker.rabbitmq.wire.delivery_stream import ConsumingConnection
from shared.broker.topology import Queue, hash_exchange, partition, partition_vote
from shared.process.background import running

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0  # seconds between two looks at who consumes


class Partitions:
    """The partitions of a queue, as one of its consumers sees them."""

    def __init__(self, channel: Channel, queue: Queue, subscription: RabbitMQSubscription) -> None:
        """`channel` is of the connection that consumes, and changes nothing without it."""
        self._channel = channel
        self._queue = queue
        self._wanted = queue.partitions or 1
        self._subscription = subscription
        self._consumers: dict[int, str] = {}  # tags, by the number of the partition
        self._agreed: bool | None = None  # None: nobody has looked yet

    @property
    def queues(self) -> list[str]:
        """The names of all that is consumed, the undivided queue first."""
        numbers = sorted(self._consumers)
        return [self._queue.name, *(partition(self._queue, number).name for number in numbers)]

    async def open(self, connection: AbstractConnection) -> None:
        """Consume the queue, and the partitions that there are or ought to be."""
        await declare(self._channel, self._queue)
        await self._subscription.consume(self._queue.name)
        count = await _count(connection, self._queue)
        if not count:
            await bind(self._channel, self._queue)
        if self._wanted > 1:
            await self._declare()
            count = max(count, self._wanted)
        if count:
            await self._consume(count)
            await self._look()

    async def _declare(self) -> None:
        for number in range(1, self._wanted + 1):
            await declare(self._channel, partition(self._queue, number))
        # That something is bound to the exchange tells that there are partitions.
        await bind(self._channel, partition(self._queue, 1))

    async def _consume(self, count: int) -> None:
        # In an order of one's own: the first who consumes a partition gets it.
        for number in random.sample(range(1, count + 1), count):
            await self._consume_partition(number)
        await declare(self._channel, partition_vote(self._queue))
        await self._subscription.consume(partition_vote(self._queue).name)

    async def _consume_partition(self, number: int) -> None:
        name = partition(self._queue, number).name
        self._consumers[number] = await self._subscription.consume(name)

    async def look_after(self) -> None:
        """Route as everybody wants it, and keep no more partitions than others do, for ever."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self._look()

    async def _look(self) -> None:
        before = await self._count_consumers(partition_vote(self._queue))
        everybody = await self._count_consumers(self._queue)
        # Once more, lest one who left meanwhile stands for one who wants another number.
        in_favour = min(before, await self._count_consumers(partition_vote(self._queue)))
        await self._agree(in_favour, everybody)
        await self._share(everybody)

    async def _count_consumers(self, queue: Queue) -> int:
        return (await find_queue(self._channel, queue.name)).consumer_count or 0

    async def _agree(self, in_favour: int, everybody: int) -> None:
        before, self._agreed = self._agreed, in_favour == everybody
        if self._agreed == before:
            return
        if self._agreed:
            await self._route()
        log.info(
            "partitions of %s: %d are wanted by %d of %d consumers%s",
            *(self._queue.name, self._wanted, in_favour, everybody),
            "" if self._agreed else ", so nothing changes",
        )

    async def _route(self) -> None:
        channel, queue, dividing = self._channel, self._queue, hash_exchange(self._queue)
        if self._wanted == 1:
            await bind(channel, queue)
            await channel.exchange_unbind(dividing.name, queue.exchange.name, queue.binding_key)
            return
        for number in range(1, self._wanted + 1):
            await bind(channel, partition(queue, number))
        await channel.exchange_bind(dividing.name, queue.exchange.name, queue.binding_key)
        for number in range(self._wanted + 1, len(self._consumers) + 1):
            await unbind(channel, partition(queue, number))
        await unbind(channel, queue)

    async def _share(self, everybody: int) -> None:
        """Give back what is more than a fair share; those who wait are served before us."""
        heard, self._subscription.heard = self._subscription.heard, set()
        mine = [number for number, tag in self._consumers.items() if tag.encode() in heard]
        mine = [number for number in mine if number <= self._wanted]
        fair = -(-self._wanted // max(everybody, 1))  # rounded up
        for number in mine[fair:]:
            await self._subscription.cancel(self._consumers[number])
            await self._consume_partition(number)


@asynccontextmanager
async def consuming_partitions(
    connection: ConsumingConnection, queue: Queue, prefetch: int
) -> AsyncIterator[tuple[RabbitMQSubscription, list[str]]]:
    """Consume while the block lasts; yield the subscription, and the names of what is consumed."""
    async with subscribed(connection, prefetch) as subscription:
        partitions = Partitions(await open_channel(connection), queue, subscription)
        await partitions.open(connection)
        if len(partitions.queues) == 1:
            yield subscription, partitions.queues
            return
        async with running(_look_after(partitions, subscription), f"partitions of {queue.name}"):
            yield subscription, partitions.queues


async def _look_after(partitions: Partitions, subscription: RabbitMQSubscription) -> None:
    try:
        await partitions.look_after()
    except LOST as error:
        subscription.lose(f"the partitions are out of sight: {error}")


async def _count(connection: AbstractConnection, queue: Queue) -> int:
    """Return how many partitions there are."""
    if not await _is_divided(connection, queue):
        return 0
    count = 0
    try:
        async with passing_channel(connection) as channel:
            while True:
                await find_queue(channel, partition(queue, count + 1).name)
                count += 1
    except ChannelNotFoundEntity as error:
        if NO_SUCH_QUEUE not in str(error):
            raise
    return count


async def _is_divided(connection: AbstractConnection, queue: Queue) -> bool:
    """Tell whether there are partitions.

    An exchange may be deleted unless something is bound to it, and be it because it never was.
    Looking for a queue instead would be an error in RabbitMQ's log, wherever nobody has partitions.
    """
    try:
        async with passing_channel(connection) as channel:
            await channel.exchange_delete(hash_exchange(queue).name, if_unused=True)
    except ChannelPreconditionFailed:
        return True
    return False
