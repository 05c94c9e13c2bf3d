"""Foreign programs: a producer and a consumer that know nothing of us but the table of names."""

import asyncio
import json
from collections.abc import Iterator

import kombu
import pytest

from shared.broker.interface import BrokerRefused, Message
from shared.broker.rabbitmq.broker import RabbitMQ
from shared.broker.topology import RECOMMENDATION_WATCH, WATCH
from tests.contract.conversation import PREFETCH, consumed
from tests.support.eventually import PATIENCE

WATCHED_A_LESSON = {"user_id": 42, "lesson_id": 100, "position": 314}


async def test_what_kombu_publishes_is_received(
    rabbitmq: RabbitMQ, connection: kombu.Connection, exchange: kombu.Exchange
) -> None:
    async with rabbitmq.subscription(RECOMMENDATION_WATCH, PREFETCH) as subscription:
        await asyncio.to_thread(publish, connection, exchange)

        [delivery] = await consumed(subscription, 1)

    assert json.loads(delivery.body) == WATCHED_A_LESSON
    assert delivery.routing_key == "created"
    assert delivery.message_id is None


async def test_what_is_published_is_received_by_kombu(
    rabbitmq: RabbitMQ, connection: kombu.Connection, exchange: kombu.Exchange
) -> None:
    message = Message(
        message_id="the-id",
        routing_key="created",
        body=json.dumps(WATCHED_A_LESSON).encode(),
        type="watch.created",
    )
    foreign = kombu.Queue("foreign", exchange, routing_key="*", channel=connection)
    await asyncio.to_thread(foreign.declare)

    async with rabbitmq.publisher(WATCH) as publisher:
        await publisher.publish([message])

    received = await asyncio.to_thread(consume, connection, foreign)
    assert received.payload == WATCHED_A_LESSON
    assert received.properties["message_id"] == "the-id"
    assert received.properties["type"] == "watch.created"
    assert received.properties["delivery_mode"] == 2
    assert received.delivery_info["routing_key"] == "created"


async def test_the_topology_is_as_published_to_the_letter(
    rabbitmq: RabbitMQ, connection: kombu.Connection
) -> None:
    async with rabbitmq.subscription(RECOMMENDATION_WATCH, PREFETCH):
        pass

    channel = connection.channel()
    channel.queue_declare("recommendation.watch.*", **DURABLE, arguments=QUORUM | PARKING)
    unlimited = QUORUM | {"x-delivery-limit": 1_000_000}
    channel.queue_declare("recommendation.watch.*.parked", **DURABLE, arguments=unlimited)
    channel.exchange_declare("watch", "topic", **DURABLE)
    channel.exchange_declare("watch.dlx", "direct", **DURABLE)
    with pytest.raises(connection.channel_errors, match="inequivalent arg"):
        channel.queue_declare("recommendation.watch.*", **DURABLE, arguments=QUORUM)


async def test_arguments_that_somebody_else_chose_are_refused_at_once(
    rabbitmq: RabbitMQ, connection: kombu.Connection
) -> None:
    connection.channel().queue_declare("recommendation.watch.*", **DURABLE)

    with pytest.raises(BrokerRefused, match="inequivalent arg"):
        async with rabbitmq.subscription(RECOMMENDATION_WATCH, PREFETCH):
            pytest.fail("nobody may consume without the promises")


DURABLE = {"durable": True, "auto_delete": False}
QUORUM = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}
PARKING = {
    "x-delivery-limit": 20,
    "x-dead-letter-exchange": "watch.dlx",
    "x-dead-letter-routing-key": "recommendation.watch.*",
    "x-dead-letter-strategy": "at-least-once",
}


@pytest.fixture
def connection(amqp_vhost: str) -> Iterator[kombu.Connection]:
    with kombu.Connection(amqp_vhost) as connection:
        yield connection


@pytest.fixture
def exchange() -> kombu.Exchange:
    return kombu.Exchange("watch", type="topic", durable=True)


def publish(connection: kombu.Connection, exchange: kombu.Exchange) -> None:
    producer = connection.Producer(exchange=exchange, serializer="json")
    producer.publish(WATCHED_A_LESSON, routing_key="created", declare=[exchange])


def consume(connection: kombu.Connection, queue: kombu.Queue) -> kombu.Message:
    messages: list[kombu.Message] = []
    with connection.Consumer([queue], on_message=messages.append):
        connection.drain_events(timeout=PATIENCE)
    [message] = messages
    message.ack()
    return message
