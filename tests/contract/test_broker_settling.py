"""What every broker promises about settling deliveries, kept by each of them."""

import pytest

from shared.broker.interface import (
    Broker,
    BrokerUnavailable,
    Depth,
    PublishOutcome,
)
from tests.contract.conversation import (
    DELIVERY_LIMIT,
    LEARNER,
    PARKED,
    PREFETCH,
    WATCHED,
    a_message,
    answered,
    bodies,
    consumed,
    messages,
    received,
    sending,
    sending_to_declared,
    until_depth,
)
from tests.support.eventually import within


async def test_no_more_than_asked_for_is_received(broker: Broker) -> None:
    async with (
        broker.subscription(LEARNER, PREFETCH) as subscription,
        sending(broker, *messages(9)),
    ):
        await received(subscription, 1)

        assert len(await within(subscription.receive(3))) <= 3


async def test_no_more_than_the_prefetch_is_unsettled(broker: Broker) -> None:
    async with (
        broker.subscription(LEARNER, prefetch=3) as subscription,
        sending(broker, *messages(5)),
    ):
        unsettled = await received(subscription, 3)
        await until_depth(broker, LEARNER, ready=2, consumers=1)

        await subscription.ack_up_to(unsettled[0].tag)

        assert bodies(await received(subscription, 1)) == [b"3"]
        await until_depth(broker, LEARNER, ready=1, consumers=1)


async def test_an_acknowledgement_settles_all_earlier_deliveries(broker: Broker) -> None:
    async with sending_to_declared(broker, 5) as publishing:
        async with broker.subscription(LEARNER, PREFETCH) as subscription:
            deliveries = await received(subscription, 5)
            await subscription.ack_up_to(deliveries[2].tag)

        async with broker.subscription(LEARNER, PREFETCH) as subscription:
            assert bodies(await consumed(subscription, 2)) == [b"3", b"4"]
        assert await answered(publishing) == [PublishOutcome.CONFIRMED] * 5
        await until_depth(broker, LEARNER, ready=0, consumers=0)


async def test_an_acknowledgement_of_one_delivery_settles_no_other(broker: Broker) -> None:
    async with sending_to_declared(broker, 4):
        async with broker.subscription(LEARNER, PREFETCH) as subscription:
            deliveries = await received(subscription, 4)
            await subscription.ack(deliveries[2].tag)
            await subscription.ack(deliveries[2].tag)
            await subscription.ack_up_to(deliveries[0].tag)

        async with broker.subscription(LEARNER, PREFETCH) as subscription:
            assert bodies(await consumed(subscription, 2)) == [b"1", b"3"]


async def test_what_was_not_settled_comes_back_in_order_and_says_so(broker: Broker) -> None:
    async with sending_to_declared(broker, 3):
        async with broker.subscription(LEARNER, PREFETCH) as subscription:
            first = await received(subscription, 3)

        async with broker.subscription(LEARNER, PREFETCH) as subscription:
            again = await received(subscription, 3)

    assert [(one.redelivered, one.delivery_count) for one in first] == [(False, 0)] * 3
    assert [(one.redelivered, one.delivery_count) for one in again] == [(True, 1)] * 3
    assert bodies(again) == bodies(first)


async def test_what_comes_back_goes_before_what_still_waits(broker: Broker) -> None:
    async with sending_to_declared(broker, 4):
        async with broker.subscription(LEARNER, prefetch=2) as subscription:
            await received(subscription, 2)

        async with broker.subscription(LEARNER, PREFETCH) as subscription:
            assert bodies(await received(subscription, 4)) == [b"0", b"1", b"2", b"3"]


async def test_a_rejected_message_is_parked_with_the_reason(broker: Broker) -> None:
    async with (
        broker.subscription(LEARNER, PREFETCH) as subscription,
        sending(broker, *messages(3)) as publishing,
        broker.subscription(PARKED, PREFETCH) as parking,
    ):
        deliveries = await received(subscription, 3)
        await subscription.reject(deliveries[1].tag)
        await subscription.ack_up_to(deliveries[2].tag)

        [parked] = await consumed(parking, 1)

        assert parked.body == b"1"
        assert parked.message_id == deliveries[1].message_id
        assert parked.routing_key == PARKED.binding_key
        assert parked.headers["x-first-death-reason"] == "rejected"
        assert parked.headers["x-first-death-queue"] == LEARNER.name
        assert parked.headers["x-first-death-exchange"] == WATCHED.name
        assert await answered(publishing) == [PublishOutcome.CONFIRMED] * 3


async def test_a_rejected_delivery_may_be_acknowledged_through(broker: Broker) -> None:
    async with (
        broker.subscription(LEARNER, PREFETCH) as subscription,
        sending(broker, *messages(3)),
    ):
        deliveries = await received(subscription, 2)
        await subscription.reject(deliveries[1].tag)
        await subscription.reject(deliveries[1].tag)
        await subscription.ack_up_to(deliveries[1].tag)
        await subscription.ack_up_to(deliveries[1].tag)

        assert bodies(await consumed(subscription, 1)) == [b"2"]
        async with sending(broker, a_message(b"later")):
            assert bodies(await consumed(subscription, 1)) == [b"later"]


async def test_a_message_that_comes_back_too_often_is_parked(broker: Broker) -> None:
    async with sending_to_declared(broker, 1) as publishing:
        for earlier in range(DELIVERY_LIMIT + 1):
            async with broker.subscription(LEARNER, PREFETCH) as subscription:
                [delivery] = await received(subscription, 1)
                assert delivery.delivery_count == earlier

        async with broker.subscription(PARKED, PREFETCH) as parking:
            [parked] = await consumed(parking, 1)

        assert parked.headers["x-first-death-reason"] == "delivery_limit"
        assert await answered(publishing) == [PublishOutcome.CONFIRMED]
        await until_depth(broker, LEARNER, ready=0, consumers=0)


async def test_subscriptions_of_one_queue_compete(broker: Broker) -> None:
    async with (
        broker.subscription(LEARNER, prefetch=1) as one,
        broker.subscription(LEARNER, prefetch=1) as other,
        sending(broker, *messages(2)),
    ):
        deliveries = await received(one, 1) + await received(other, 1)

        assert sorted(bodies(deliveries)) == [b"0", b"1"]


async def test_the_depth_tells_what_waits_and_for_whom(broker: Broker) -> None:
    async with sending_to_declared(broker, 4):
        await until_depth(broker, LEARNER, ready=4, consumers=0)
        async with broker.subscription(LEARNER, PREFETCH):
            await until_depth(broker, LEARNER, ready=0, consumers=1)


async def test_a_queue_that_was_never_declared_is_empty(broker: Broker) -> None:
    assert await broker.depth(LEARNER) == Depth(ready=0, consumers=0)


async def test_after_its_block_a_subscription_is_of_no_more_use(broker: Broker) -> None:
    async with broker.subscription(LEARNER, PREFETCH) as subscription:
        pass

    await subscription.ack_up_to(1)
    await subscription.reject(1)
    with pytest.raises(BrokerUnavailable):
        await within(subscription.receive(1))
