"""What the tests of the brokers say to each other: exchanges, queues and messages of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import uuid4

from shared.broker.interface import Broker, Delivery, Depth, Message, PublishOutcome, Subscription
from shared.broker.topology import Exchange, Queue
from tests.support.eventually import PATIENCE, eventually, within

DELIVERY_LIMIT: Final = 2
PREFETCH: Final = 100

WATCHED: Final = Exchange("watched", "topic")
DEAD: Final = Exchange("watched.dlx", "direct")
PARKED: Final = Queue("learner.parked", DEAD, binding_key="learner")
LEARNER: Final = Queue(
    "learner", WATCHED, binding_key="*", parking=PARKED, delivery_limit=DELIVERY_LIMIT
)
HISTORIAN: Final = Queue("historian", WATCHED, binding_key="#")


def a_message(body: bytes = b"{}", routing_key: str = "created") -> Message:
    return Message(message_id=uuid4().hex, routing_key=routing_key, body=body)


def messages(count: int) -> list[Message]:
    return [a_message(b"%d" % number) for number in range(count)]


@asynccontextmanager
async def sending(
    broker: Broker, *sent: Message, exchange: Exchange = WATCHED
) -> AsyncIterator[asyncio.Task[list[PublishOutcome]]]:
    """Publish beside the block: the in-process broker confirms what was consumed, not before."""
    async with broker.publisher(exchange) as publisher:
        publishing = asyncio.create_task(publisher.publish(sent))
        try:
            yield publishing
        finally:
            publishing.cancel()
            await within(asyncio.wait([publishing]))


@asynccontextmanager
async def sending_to_declared(
    broker: Broker, count: int
) -> AsyncIterator[asyncio.Task[list[PublishOutcome]]]:
    """Publish so many messages to a queue that nobody consumes from yet."""
    async with broker.subscription(LEARNER, PREFETCH):
        pass  # which leaves the queue behind
    async with sending(broker, *messages(count)) as publishing:
        yield publishing


async def received(subscription: Subscription, count: int) -> list[Delivery]:
    """Receive exactly so many deliveries."""
    deliveries: list[Delivery] = []
    async with asyncio.timeout(PATIENCE):
        while len(deliveries) < count:
            deliveries += await subscription.receive(count - len(deliveries))
    return deliveries


async def consumed(subscription: Subscription, count: int) -> list[Delivery]:
    """Receive exactly so many deliveries, and acknowledge as they come."""
    deliveries: list[Delivery] = []
    while len(deliveries) < count:
        deliveries += await received(subscription, 1)
        await subscription.ack_up_to(deliveries[-1].tag)
    return deliveries


async def answered(publishing: "asyncio.Task[list[PublishOutcome]]") -> list[PublishOutcome]:
    """Return the outcomes of what is published beside us."""
    async with asyncio.timeout(PATIENCE):
        return await publishing


async def until_depth(broker: Broker, queue: Queue, ready: int, consumers: int) -> None:
    """Wait for the queue to be so deep: RabbitMQ counts when it has the time."""
    expected = Depth(ready, consumers)

    async def is_so_deep() -> bool:
        return await broker.depth(queue) == expected

    await eventually(is_so_deep)


def bodies(deliveries: list[Delivery]) -> list[bytes]:
    return [delivery.body for delivery in deliveries]
