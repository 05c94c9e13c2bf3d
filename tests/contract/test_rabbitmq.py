"""What only RabbitMQ can do to us while it is used: go away, fall silent, be full."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from pamqp.common import FieldTable

from shared.broker.interface import Broker, BrokerUnavailable, Depth, PublishOutcome
from shared.broker.rabbitmq.broker import RabbitMQ
from shared.broker.rabbitmq.wire.fallback import MAX_BODY
from shared.broker.topology import DEFAULT, Queue
from tests.contract.conversation import (
    LEARNER,
    PREFETCH,
    WATCHED,
    a_message,
    answered,
    bodies,
    consumed,
    messages,
    received,
    sending_to_declared,
    until_depth,
)
from tests.contract.proxy import proxied
from tests.support.eventually import PATIENCE, eventually, within

FOR_EVER = 600.0  # seconds


async def test_a_lost_connection_ends_receiving_and_the_messages_come_again(
    rabbitmq: RabbitMQ, amqp_vhost: str
) -> None:
    async with proxied(amqp_vhost) as proxy, sending_to_declared(rabbitmq, 3):
        async with RabbitMQ(proxy.url).subscription(LEARNER, PREFETCH) as subscription:
            [first, *_] = await received(subscription, 3)
            proxy.cut()
            with pytest.raises(BrokerUnavailable):
                await received(subscription, 1)
            await subscription.ack_up_to(first.tag)
            await subscription.reject(first.tag)

        async with rabbitmq.subscription(LEARNER, PREFETCH) as subscription:
            again = await consumed(subscription, 3)

    assert bodies(again) == [b"0", b"1", b"2"]
    assert all(delivery.redelivered for delivery in again)


async def test_a_deleted_queue_ends_receiving(rabbitmq: RabbitMQ, channel: AbstractChannel) -> None:
    async with rabbitmq.subscription(LEARNER, PREFETCH) as subscription:
        await channel.queue_delete(LEARNER.name)

        with pytest.raises(BrokerUnavailable, match="cancelled the consumer"):
            await received(subscription, 1)


async def test_after_its_exchange_is_deleted_nobody_knows_what_became_of_a_batch(
    amqp_vhost: str, channel: AbstractChannel
) -> None:
    async with RabbitMQ(amqp_vhost, confirm_timeout=FOR_EVER).publisher(WATCHED) as publisher:
        await channel.exchange_delete(WATCHED.name)

        async with asyncio.timeout(PATIENCE):
            assert await publisher.publish(messages(5)) == [PublishOutcome.UNKNOWN] * 5
        with pytest.raises(BrokerUnavailable):
            await publisher.publish(messages(1))


async def test_a_connection_lost_while_publishing_leaves_the_outcome_unknown(
    rabbitmq: RabbitMQ, amqp_vhost: str
) -> None:
    async with (
        proxied(amqp_vhost) as proxy,
        open_subscription(rabbitmq),
        RabbitMQ(proxy.url).publisher(WATCHED) as publisher,
    ):
        proxy.freeze()
        publishing = asyncio.create_task(publisher.publish(messages(300)))
        await asyncio.wait([publishing], timeout=0)
        proxy.cut()

        assert await answered(publishing) == [PublishOutcome.UNKNOWN] * 300


async def test_a_silent_broker_leaves_the_outcome_unknown_in_time(
    rabbitmq: RabbitMQ, amqp_vhost: str
) -> None:
    async with proxied(amqp_vhost) as proxy, open_subscription(rabbitmq), asyncio.timeout(PATIENCE):
        impatient = RabbitMQ(proxy.url, confirm_timeout=0.2)
        async with impatient.publisher(WATCHED) as publisher:
            proxy.freeze()

            # So large that most of it never leaves this machine.
            outcomes = await publisher.publish([a_message(bytes(MAX_BODY)), a_message()])
            assert outcomes == [PublishOutcome.UNKNOWN] * 2
            with pytest.raises(BrokerUnavailable):
                await publisher.publish(messages(1))


async def test_a_silent_broker_does_not_keep_a_process_from_ending(amqp_vhost: str) -> None:
    async with proxied(amqp_vhost) as proxy, asyncio.timeout(PATIENCE):

        async def process() -> None:
            broker = RabbitMQ(proxy.url, confirm_timeout=0.2)
            async with broker.publisher(WATCHED) as publisher:
                proxy.freeze()
                await publisher.publish([a_message(bytes(MAX_BODY))])

        await asyncio.to_thread(asyncio.run, process())


async def test_a_subscription_to_a_silent_broker_is_left_in_time(
    rabbitmq: RabbitMQ, amqp_vhost: str
) -> None:
    async with (
        proxied(amqp_vhost) as proxy,
        sending_to_declared(rabbitmq, 1),
        asyncio.timeout(PATIENCE),
        RabbitMQ(proxy.url).subscription(LEARNER, PREFETCH) as subscription,
    ):
        await received(subscription, 1)
        proxy.freeze()


async def test_a_cancelled_publish_leaves_a_publisher_of_no_more_use(
    rabbitmq: RabbitMQ,
) -> None:
    async with open_subscription(rabbitmq), rabbitmq.publisher(WATCHED) as publisher:
        publishing = asyncio.create_task(publisher.publish(messages(3)))
        await asyncio.wait([publishing], timeout=0)
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(publishing)

        with pytest.raises(BrokerUnavailable):
            await publisher.publish(messages(1))


async def test_a_full_queue_refuses_and_loses_nothing(
    rabbitmq: RabbitMQ, channel: AbstractChannel
) -> None:
    await channel.declare_queue("small", durable=True, arguments=ROOM_FOR_ONE)
    queue = Queue("small", DEFAULT, "small")

    async with rabbitmq.publisher(DEFAULT) as publisher:
        batch = [a_message(routing_key="small") for _ in range(20)]
        outcomes = [(await publisher.publish([message]))[0] for message in batch]

    assert set(outcomes) == {PublishOutcome.CONFIRMED, PublishOutcome.REFUSED}
    await until_depth(rabbitmq, queue, ready=outcomes.count(PublishOutcome.CONFIRMED), consumers=0)


async def test_one_full_queue_leaves_room_for_others_in_the_same_batch(
    rabbitmq: RabbitMQ, channel: AbstractChannel
) -> None:
    await channel.declare_queue("small", durable=True, arguments=ROOM_FOR_ONE)
    await channel.declare_queue("large", durable=True)
    keys = ["small", "large", "none"] * 30

    async with rabbitmq.publisher(DEFAULT) as publisher:
        outcomes = await publisher.publish([a_message(routing_key=key) for key in keys])

    assert set(outcomes[0::3]) == {PublishOutcome.CONFIRMED, PublishOutcome.REFUSED}
    assert set(outcomes[1::3]) == {PublishOutcome.CONFIRMED}
    assert set(outcomes[2::3]) == {PublishOutcome.UNROUTABLE}


async def test_a_body_larger_than_any_broker_takes_is_refused_alone(rabbitmq: RabbitMQ) -> None:
    async with open_subscription(rabbitmq), rabbitmq.publisher(WATCHED) as publisher:
        outcomes = await publisher.publish([a_message(), a_message(bytes(MAX_BODY + 1))])

    assert outcomes == [PublishOutcome.CONFIRMED, PublishOutcome.REFUSED]


async def test_a_batch_with_one_id_twice_is_a_mistake(rabbitmq: RabbitMQ) -> None:
    async with rabbitmq.publisher(WATCHED) as publisher:
        with pytest.raises(ValueError, match="distinct"):
            await publisher.publish([a_message()] * 2)

        assert await publisher.publish([a_message()]) == [PublishOutcome.UNROUTABLE]


async def test_the_depth_is_read_again_after_its_connection_was_lost(amqp_vhost: str) -> None:
    async with proxied(amqp_vhost) as proxy:
        broker = RabbitMQ(proxy.url)
        assert await broker.depth(LEARNER) == Depth(ready=0, consumers=0)

        proxy.cut()

        await eventually(lambda: answers(broker))
        await broker.close()


async def test_the_depth_of_a_silent_broker_is_unavailable(
    amqp_vhost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with proxied(amqp_vhost) as proxy:
        broker = RabbitMQ(proxy.url)
        await broker.depth(LEARNER)
        monkeypatch.setattr("shared.broker.rabbitmq.depth.ANSWER_TIMEOUT", 0.2)
        proxy.freeze()

        with pytest.raises(BrokerUnavailable):
            await broker.depth(LEARNER)


ROOM_FOR_ONE: FieldTable = {
    "x-queue-type": "classic",
    "x-overflow": "reject-publish",
    "x-max-length": 1,
}


@pytest.fixture
async def channel(amqp_vhost: str) -> AsyncIterator[AbstractChannel]:
    """Somebody else on the same virtual host."""
    async with await aio_pika.connect(amqp_vhost) as connection:
        yield await connection.channel()


@asynccontextmanager
async def open_subscription(broker: Broker) -> AsyncIterator[None]:
    """Have a queue that takes what is published."""
    async with broker.subscription(LEARNER, PREFETCH):
        yield


async def answers(broker: Broker) -> bool:
    try:
        await broker.depth(LEARNER)
    except BrokerUnavailable:
        return False
    return True
