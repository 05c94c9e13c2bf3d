"""Producers and consumers that know nothing of this project, and bad messages of any kind."""

import json
import queue
from typing import Any

import kombu
import pytest
from sqlalchemy import text

from shared.broker.interface import Broker, Message, PublishOutcome
from shared.broker.topology import RECOMMENDATION_WATCH, WATCH
from shared.database.database import open_database
from shared.uuid7 import new_id
from tests.support.eventually import PATIENCE, eventually, within
from tests.support.pair import SetUp, learned, parked

BODY = {"user_id": 42, "lesson_id": 100, "position": 314}


async def test_a_message_with_the_three_fields_from_kombu_is_learned(
    real: SetUp, amqp_vhost: str
) -> None:
    async with real.recommendation() as recommendation:
        with kombu.Connection(amqp_vhost) as connection, connection.Producer() as producer:
            exchange = kombu.Exchange("watch", type="topic")
            for _ in range(2):
                producer.publish(BODY, exchange=exchange, routing_key="created", serializer="json")

        await learned(recommendation, 2)
        items = (await recommendation.get("/lessons/popular")).json()["items"]

    assert [item["lesson_id"] for item in items] == [100]


async def test_a_foreign_consumer_reads_our_message_with_these_fields(
    real: SetUp, amqp_vhost: str
) -> None:
    received: queue.Queue[tuple[Any, kombu.Message]] = queue.Queue()
    with kombu.Connection(amqp_vhost) as connection:
        exchange = kombu.Exchange("watch", type="topic")
        foreign = kombu.Queue("statistics.watch.*", exchange, routing_key="*")
        with connection.Consumer(foreign, callbacks=[lambda *one: received.put(one)]):
            async with real.both() as pair:
                await pair.watch(42, 100)
            connection.drain_events(timeout=PATIENCE)
    body, message = received.get_nowait()

    assert body.items() >= BODY.items()
    assert body["watch_id"] == message.properties["message_id"]
    assert message.delivery_info["routing_key"] == "created"
    assert message.properties["type"] == "watch.created"
    assert message.properties["delivery_mode"] == 2
    assert message.content_type == "application/json"
    assert message.headers["x-schema-version"] == 1
    assert message.headers["x-user-id"] == "42"


def message(body: object = BODY, routing_key: str = "created", version: int = 1) -> Message:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"x-schema-version": version}
    return Message(str(new_id()), routing_key, content, headers=headers)


BAD: dict[str, tuple[Message, str, str]] = {
    "not JSON": (message(b"\xff{"), "unreadable", "JSON"),
    "not an object": (message([1, 2]), "unreadable", "object"),
    "a field missing": (message({"user_id": 1, "position": 2}), "unreadable", "lesson_id"),
    "a wrong type": (message(BODY | {"user_id": "42"}), "unreadable", "user_id"),
    "out of bounds": (message(BODY | {"lesson_id": 2**63}), "unreadable", "lesson_id"),
    "from the future": (
        message(BODY | {"occurred_at": "2999-01-01T00:00:00Z"}),
        "unreadable",
        "2999",
    ),
    "oversized": (message(BODY | {"notes": "x" * 70_000}), "oversized", "65,536"),
    "unknown version": (message(version=2), "unknown version", "2"),
    "unknown kind": (message(routing_key="paused"), "unknown kind", "paused"),
    "an unnamed deletion": (message(routing_key="deleted"), "unreadable", "watch_id"),
}


async def publish(broker: Broker, *messages: Message) -> None:
    async with broker.publisher(WATCH) as publisher:
        assert set(await publisher.publish(messages)) == {PublishOutcome.CONFIRMED}


@pytest.mark.parametrize("name", list(BAD))
async def test_a_bad_message_is_parked_alone_while_the_rest_of_its_batch_is_learned(
    embedded: SetUp, name: str
) -> None:
    bad, reason, detail = BAD[name]
    good = [message(BODY | {"position": position}) for position in range(1000, 1010)]

    async with embedded.recommendation() as recommendation:
        await publish(embedded.broker, *good[:5], bad, *good[5:])
        await learned(recommendation, 10)
        (item,) = await parked(recommendation, 1)

    assert item["reason"] == reason
    assert detail in item["detail"]
    assert item["message_id"] == bad.message_id
    assert item["attempts"] == 1


async def test_what_the_database_refuses_for_its_content_is_parked_alone(real: SetUp) -> None:
    never = text("ALTER TABLE learned_watches ADD CHECK (position <> 13)")
    bad, *good = [message(BODY | {"position": position}) for position in range(13, 24)]
    async with (
        real.recommendation(),
        open_database(real.recommendation_database) as database,
        database.write() as connection,
    ):
        await connection.execute(never)
    await publish(real.broker, *good[:5], bad, *good[5:])  # so that they come as one batch

    async with real.recommendation() as recommendation:
        await learned(recommendation, 10)
        (item,) = await parked(recommendation, 1)

    assert item["reason"] == "not learnable"
    assert item["message_id"] == bad.message_id


async def test_bad_messages_of_all_kinds_are_parked_by_rabbitmq_too(real: SetUp) -> None:
    async with real.recommendation() as recommendation:
        await publish(real.broker, *(bad for bad, _, _ in BAD.values()))

        items = await parked(recommendation, len(BAD))

    assert sorted(item["reason"] for item in items) == sorted(
        reason for _, reason, _ in BAD.values()
    )


async def test_what_the_broker_gives_up_is_parked_with_its_routing_key(real: SetUp) -> None:
    async with real.broker.subscription(RECOMMENDATION_WATCH, prefetch=10) as subscription:
        await publish(real.broker, message())
        (delivery,) = await within(subscription.receive(10))
        await subscription.reject(delivery.tag)

    async with real.recommendation() as recommendation:
        (item,) = await parked(recommendation, 1)

        assert item["reason"] == "dead-lettered"
        assert item["routing_key"] == "created"
        again = await recommendation.post(f"/parked/{item['id']}/redeliver")
        assert again.json() == {"outcome": "learned"}
        await learned(recommendation, 1)
        await parked(recommendation, 0)


async def test_a_message_that_still_cannot_be_read_stays_parked(embedded: SetUp) -> None:
    async with embedded.recommendation() as recommendation:
        await publish(embedded.broker, message(b"{"))
        (item,) = await parked(recommendation, 1)

        answer = await recommendation.post(f"/parked/{item['id']}/redeliver")

        assert answer.status_code == 409
        await parked(recommendation, 1)
        assert (await recommendation.delete(f"/parked/{item['id']}")).status_code == 204
        assert (await recommendation.delete(f"/parked/{item['id']}")).status_code == 404
        await parked(recommendation, 0)


async def test_an_event_published_twice_is_learned_once(real: SetUp) -> None:
    async with real.recommendation() as recommendation:
        event = message()
        for _ in range(3):
            await publish(real.broker, event)

        async def three_came() -> bool:
            events = (await recommendation.get("/stats")).json()["events"]
            return bool(events == {"applied": 1, "duplicates": 2, "parked": 0})

        assert await eventually(three_came)
