"""What every broker promises about publishing and routing, kept by each of them."""

from datetime import UTC, datetime

import pytest

from shared.broker.interface import (
    Broker,
    BrokerRefused,
    BrokerUnavailable,
    Message,
    PublishOutcome,
)
from shared.broker.topology import DEFAULT, Exchange, Queue
from tests.contract.conversation import (
    HISTORIAN,
    LEARNER,
    PREFETCH,
    WATCHED,
    a_message,
    answered,
    bodies,
    consumed,
    messages,
    received,
    sending,
)


async def test_a_message_that_a_queue_takes_is_confirmed(broker: Broker) -> None:
    async with (
        broker.subscription(LEARNER, PREFETCH) as subscription,
        sending(broker, a_message()) as publishing,
    ):
        await consumed(subscription, 1)

        assert await answered(publishing) == [PublishOutcome.CONFIRMED]


async def test_a_message_that_no_queue_would_receive_is_reported(broker: Broker) -> None:
    async with sending(broker, a_message()) as publishing:
        assert await answered(publishing) == [PublishOutcome.UNROUTABLE]


async def test_an_unroutable_message_does_not_touch_its_neighbours(broker: Broker) -> None:
    batch = [a_message(), a_message(routing_key="of.two"), a_message(), a_message(routing_key="")]

    async with (
        broker.subscription(LEARNER, PREFETCH) as subscription,
        sending(broker, *batch) as publishing,
    ):
        await consumed(subscription, 2)

        assert await answered(publishing) == [
            PublishOutcome.CONFIRMED,
            PublishOutcome.UNROUTABLE,
            PublishOutcome.CONFIRMED,
            PublishOutcome.UNROUTABLE,
        ]


async def test_an_empty_batch_has_no_outcomes(broker: Broker) -> None:
    async with sending(broker) as publishing:
        assert await answered(publishing) == []


async def test_messages_arrive_in_the_order_of_their_publishing(broker: Broker) -> None:
    sent = messages(50)

    async with broker.subscription(LEARNER, PREFETCH) as subscription, sending(broker, *sent):
        deliveries = await received(subscription, 50)

    assert bodies(deliveries) == [message.body for message in sent]
    assert [delivery.tag for delivery in deliveries] == list(range(1, 51))


async def test_each_queue_gets_its_own_copy(broker: Broker) -> None:
    async with (
        broker.subscription(LEARNER, PREFETCH) as learner,
        broker.subscription(HISTORIAN, PREFETCH) as historian,
        sending(broker, a_message(b"both")) as publishing,
    ):
        assert bodies(await consumed(learner, 1)) == [b"both"]
        assert bodies(await consumed(historian, 1)) == [b"both"]
        assert await answered(publishing) == [PublishOutcome.CONFIRMED]


async def test_a_message_arrives_with_all_it_was_sent_with(broker: Broker) -> None:
    sent = Message(
        message_id="the-id",
        routing_key="updated",
        body=b"\x00not json\xff",
        type="watch.updated",
        timestamp=datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC),
        headers={"x-schema-version": 1, "traceparent": "00-trace", "big": 2**40},
    )

    async with broker.subscription(LEARNER, PREFETCH) as subscription, sending(broker, sent):
        [delivery] = await received(subscription, 1)

    assert delivery.message_id == "the-id"
    assert delivery.routing_key == "updated"
    assert delivery.body == b"\x00not json\xff"
    assert delivery.type == "watch.updated"
    assert delivery.timestamp == datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    assert delivery.headers == sent.headers


async def test_what_a_message_was_sent_without_is_none(broker: Broker) -> None:
    async with broker.subscription(LEARNER, PREFETCH) as subscription, sending(broker, a_message()):
        [delivery] = await received(subscription, 1)

    assert (delivery.type, delivery.timestamp, delivery.headers) == (None, None, {})


@pytest.mark.parametrize(
    ("binding_key", "taken", "not_taken"),
    [
        ("*", {"created", "a"}, {"a.b", "", ".", "created."}),
        ("#", {"created", "a.b", "", "."}, set()),
        ("a.*.c", {"a.b.c", "a..c"}, {"a.c", "a.b.b.c"}),
        ("a.#.c", {"a.c", "a.b.c", "a.b.b.c", "a..c"}, {"a", "a.b", "c"}),
        ("*.*", {"a.b", "."}, {"a", ""}),
    ],
)
async def test_a_topic_binding_takes_the_keys_it_means(
    broker: Broker, binding_key: str, taken: set[str], not_taken: set[str]
) -> None:
    queue = Queue("learner", WATCHED, binding_key)
    batch = [a_message(routing_key=key) for key in [*taken, *not_taken]]

    async with (
        broker.subscription(queue, PREFETCH) as subscription,
        sending(broker, *batch) as publishing,
    ):
        await consumed(subscription, len(taken))
        outcomes = await answered(publishing)

    confirmed = [PublishOutcome.CONFIRMED] * len(taken)
    assert outcomes == confirmed + [PublishOutcome.UNROUTABLE] * len(not_taken)


async def test_the_default_exchange_routes_to_the_queue_that_is_named(broker: Broker) -> None:
    async with (
        broker.subscription(LEARNER, PREFETCH) as subscription,
        sending(broker, a_message(routing_key=LEARNER.name), exchange=DEFAULT) as publishing,
    ):
        await consumed(subscription, 1)

        assert await answered(publishing) == [PublishOutcome.CONFIRMED]


async def test_a_thousand_messages_go_through_in_batches(broker: Broker) -> None:
    sent = messages(1000)

    async with (
        broker.subscription(LEARNER, PREFETCH) as subscription,
        sending(broker, *sent[:500]) as first,
        sending(broker, *sent[500:]) as second,
    ):
        deliveries = await consumed(subscription, 1000)
        outcomes = await answered(first) + await answered(second)

    assert outcomes == [PublishOutcome.CONFIRMED] * 1000
    assert {one.message_id for one in deliveries} == {one.message_id for one in sent}


@pytest.mark.parametrize("size", [0, 131_064, 131_065, 1_000_000])
async def test_a_body_may_be_empty_or_large(broker: Broker, size: int) -> None:
    body = bytes(number % 251 for number in range(size))

    async with (
        broker.subscription(LEARNER, PREFETCH) as subscription,
        sending(broker, a_message(body), a_message(b"next")),
    ):
        assert bodies(await received(subscription, 2)) == [body, b"next"]


async def test_a_message_id_may_be_published_again_later(broker: Broker) -> None:
    message = a_message()

    async with broker.subscription(LEARNER, PREFETCH) as subscription:
        for _ in range(2):
            async with sending(broker, message) as publishing:
                await consumed(subscription, 1)
                assert await answered(publishing) == [PublishOutcome.CONFIRMED]


async def test_an_unroutable_message_may_be_published_again_by_the_same_publisher(
    broker: Broker,
) -> None:
    message = a_message()

    async with broker.publisher(WATCHED) as publisher:
        assert await publisher.publish([message]) == [PublishOutcome.UNROUTABLE]
        assert await publisher.publish([message]) == [PublishOutcome.UNROUTABLE]


async def test_a_queue_cannot_be_declared_with_other_promises(broker: Broker) -> None:
    without_parking = Queue(LEARNER.name, LEARNER.exchange, LEARNER.binding_key)

    async with broker.subscription(LEARNER, PREFETCH):
        with pytest.raises(BrokerRefused):
            async with broker.subscription(without_parking, PREFETCH):
                pytest.fail("nobody may consume without the promises")


async def test_an_exchange_cannot_change_its_type(broker: Broker) -> None:
    async with broker.publisher(WATCHED):
        with pytest.raises(BrokerRefused):
            async with broker.publisher(Exchange(WATCHED.name, "direct")):
                pytest.fail("nobody may publish to an exchange of another kind")


async def test_after_its_block_a_publisher_is_of_no_more_use(broker: Broker) -> None:
    async with broker.publisher(WATCHED) as publisher:
        pass

    with pytest.raises(BrokerUnavailable):
        await publisher.publish([a_message()])
