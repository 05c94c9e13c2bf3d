"""What the broker inside the process promises beyond the others: a confirm means consumed."""

import asyncio

from shared.broker.in_process import InProcessBroker
from shared.broker.interface import PublishOutcome
from tests.contract.conversation import (
    HISTORIAN,
    LEARNER,
    PARKED,
    PREFETCH,
    a_message,
    answered,
    consumed,
    received,
    sending,
)


async def test_a_message_is_confirmed_when_its_last_copy_is_settled() -> None:
    broker = InProcessBroker()
    async with (
        broker.subscription(LEARNER, PREFETCH) as learner,
        broker.subscription(HISTORIAN, PREFETCH) as historian,
        sending(broker, a_message()) as publishing,
    ):
        await consumed(learner, 1)
        assert not await is_answered(publishing)

        await consumed(historian, 1)

        assert await answered(publishing) == [PublishOutcome.CONFIRMED]


async def test_a_rejected_message_is_confirmed_when_it_is_taken_from_the_parking_queue() -> None:
    broker = InProcessBroker()
    async with (
        broker.subscription(LEARNER, PREFETCH) as learner,
        broker.subscription(PARKED, PREFETCH) as parking,
        sending(broker, a_message()) as publishing,
    ):
        [delivery] = await received(learner, 1)
        await learner.reject(delivery.tag)
        assert not await is_answered(publishing)

        await consumed(parking, 1)

        assert await answered(publishing) == [PublishOutcome.CONFIRMED]


async def test_a_rejected_message_without_a_parking_queue_is_dropped() -> None:
    broker = InProcessBroker()
    async with (
        broker.subscription(HISTORIAN, PREFETCH) as historian,
        sending(broker, a_message()) as publishing,
    ):
        [delivery] = await received(historian, 1)
        await historian.reject(delivery.tag)

        assert await answered(publishing) == [PublishOutcome.CONFIRMED]


async def is_answered(publishing: "asyncio.Task[list[PublishOutcome]]") -> bool:
    """Give the loop its turns, and look."""
    done, _ = await asyncio.wait([publishing], timeout=0.05)
    return bool(done)
