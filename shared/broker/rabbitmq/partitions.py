"""Partitions of a queue: found, consumed, shared, and changed in number without a loss.

The queue itself stays. Every process consumes it first, whatever number of partitions it wants. So
its consumer count is the number of consuming processes. A process then consumes all partitions that
exist, and last the vote queue of the number that it wants. When the vote queue has as many
consumers as the queue, all processes want this number, and consume every queue that is to receive
messages. Only then are bindings changed: first the missing ones are added, then the others removed.
Processes that want different numbers, or know nothing of partitions, can therefore run side by side
and change nothing.

No queue is deleted. RabbitMQ deletes a quorum queue with its messages, and a message may arrive
after the check that the queue is empty. The messages of an unbound partition are consumed like all
others.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiormq.channel import Channel
from aiormq.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed

from shared.broker.rabbitmq.connection import LOST_ERRORS, temporary_channel
from shared.broker.rabbitmq.depth import NO_SUCH_QUEUE
from shared.broker.rabbitmq.subscription import RabbitMQSubscription, open_subscription
from shared.broker.rabbitmq.topology import bind, declare, find_queue, unbind
from shared.broker.rabbitmq.wire import PlainConnection
from shared.broker.topology import Queue, hash_exchange, partition, partition_vote
from shared.process.background import running

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0  # seconds between two counts of the consumers


class Partitions:
    """The partitions of a queue, as one of its consumers sees them."""

    def __init__(self, channel: Channel, queue: Queue, subscription: RabbitMQSubscription) -> None:
        """`channel` belongs to the consuming connection, so that it is lost together with it."""
        self._channel = channel
        self._queue = queue
        self._wanted = queue.partitions or 1
        self._subscription = subscription
        self._consumers: dict[int, str] = {}  # tags, by number of the partition
        self._agreed: bool | None = None  # on the number; None: not counted yet

    @property
    def queues(self) -> list[str]:
        """The names of all queues that are consumed, the queue itself first."""
        numbers = sorted(self._consumers)
        return [self._queue.name, *(partition(self._queue, number).name for number in numbers)]

    async def open(self, connection: PlainConnection) -> None:
        """Consume the queue, and the partitions that exist or are wanted."""
        await declare(self._channel, self._queue)
        await self._subscription.consume(self._queue.name)
        count = await _count_partitions(connection, self._queue)
        if not count:
            await bind(self._channel, self._queue)
        if self._wanted > 1:
            await self._declare()
            count = max(count, self._wanted)
        if count:
            await self._consume(count)
            await self._rebalance()

    async def _declare(self) -> None:
        for number in range(1, self._wanted + 1):
            await declare(self._channel, partition(self._queue, number))
        # A binding of the exchange tells others that there are partitions.
        await bind(self._channel, partition(self._queue, 1))

    async def _consume(self, count: int) -> None:
        # In random order: the first consumer of a partition is its active one.
        for number in random.sample(range(1, count + 1), count):
            await self._consume_partition(number)
        await declare(self._channel, partition_vote(self._queue))
        await self._subscription.consume(partition_vote(self._queue).name)

    async def _consume_partition(self, number: int) -> None:
        name = partition(self._queue, number).name
        self._consumers[number] = await self._subscription.consume(name)

    async def rebalance_for_ever(self) -> None:
        """Bind the number of partitions that all consumers want, and keep a fair share of them."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self._rebalance()

    async def _rebalance(self) -> None:
        votes_before = await self._count_consumers(partition_vote(self._queue))
        consumers = await self._count_consumers(self._queue)
        # Votes are counted before and after the consumers, and the lower count is used. So a voter
        # that leaves in between cannot hide a consumer that wants another number.
        votes_after = await self._count_consumers(partition_vote(self._queue))
        await self._apply_votes(min(votes_before, votes_after), consumers)
        await self._release_surplus(consumers)

    async def _count_consumers(self, queue: Queue) -> int:
        return (await find_queue(self._channel, queue.name)).consumer_count or 0

    async def _apply_votes(self, votes: int, consumers: int) -> None:
        before, self._agreed = self._agreed, votes == consumers
        if self._agreed == before:
            return
        if self._agreed:
            await self._change_bindings()
        log.info(
            "partitions of %s: %d are wanted by %d of %d consumers%s",
            *(self._queue.name, self._wanted, votes, consumers),
            "" if self._agreed else ", so nothing changes",
        )

    async def _change_bindings(self) -> None:
        channel, queue, exchange = self._channel, self._queue, hash_exchange(self._queue)
        if self._wanted == 1:
            await bind(channel, queue)
            await channel.exchange_unbind(exchange.name, queue.exchange.name, queue.binding_key)
            return
        for number in range(1, self._wanted + 1):
            await bind(channel, partition(queue, number))
        await channel.exchange_bind(exchange.name, queue.exchange.name, queue.binding_key)
        for number in range(self._wanted + 1, len(self._consumers) + 1):
            await unbind(channel, partition(queue, number))
        await unbind(channel, queue)

    async def _release_surplus(self, consumers: int) -> None:
        """Release the active partitions beyond a fair share.

        They are cancelled and consumed again, so that a waiting consumer becomes active.
        """
        active, self._subscription.active = self._subscription.active, set()
        mine = [number for number, tag in self._consumers.items() if tag.encode() in active]
        mine = [number for number in mine if number <= self._wanted]
        fair_share = -(-self._wanted // max(consumers, 1))  # rounded up
        for number in mine[fair_share:]:
            await self._subscription.cancel(self._consumers[number])
            await self._consume_partition(number)


@asynccontextmanager
async def consuming_partitions(
    connection: PlainConnection, queue: Queue, prefetch: int
) -> AsyncIterator[tuple[RabbitMQSubscription, list[str]]]:
    """Consume while the block lasts; yield the subscription, and the names of its queues."""
    async with open_subscription(connection, prefetch) as subscription:
        partitions = Partitions(await connection.open_channel(), queue, subscription)
        await partitions.open(connection)
        if len(partitions.queues) == 1:
            yield subscription, partitions.queues
            return
        async with running(
            _rebalance_until_lost(partitions, subscription), f"partitions of {queue.name}"
        ):
            yield subscription, partitions.queues


async def _rebalance_until_lost(partitions: Partitions, subscription: RabbitMQSubscription) -> None:
    try:
        await partitions.rebalance_for_ever()
    except LOST_ERRORS as error:
        subscription.fail(f"the channel of the partitions was lost: {error}")


async def _count_partitions(connection: PlainConnection, queue: Queue) -> int:
    """Return how many partitions there are."""
    if not await _has_partitions(connection, queue):
        return 0
    count = 0
    try:
        async with temporary_channel(connection) as channel:
            while True:
                await find_queue(channel, partition(queue, count + 1).name)
                count += 1
    except ChannelNotFoundEntity as error:
        if NO_SUCH_QUEUE not in str(error):
            raise
    return count


async def _has_partitions(connection: PlainConnection, queue: Queue) -> bool:
    """Tell whether there are partitions.

    RabbitMQ refuses to delete an exchange only while something is bound to it. Reading a queue
    instead would write an error into RabbitMQ's log wherever there are no partitions.
    """
    try:
        async with temporary_channel(connection) as channel:
            await channel.exchange_delete(hash_exchange(queue).name, if_unused=True)
    except ChannelPreconditionFailed:
        return True
    return False
