"""Another number of partitions, and other processes that share them: nothing is lost."""

import asyncio
from contextlib import AsyncExitStack

from shared.broker.rabbitmq.broker import RabbitMQ
from tests.contract.conversation import PREFETCH, received
from tests.contract.partitions import (
    QUEUE,
    USERS,
    WHOLE,
    Api,
    Learner,
    Load,
    numbers_in,
    of_users,
    process,
    publish,
    routed,
)
from tests.support.eventually import eventually, within


async def test_a_number_is_changed_under_load_and_nothing_is_lost(
    rabbitmq: RabbitMQ, amqp_vhost: str, api: Api
) -> None:
    learner, load = Learner(), Load()
    async with learner.process(amqp_vhost, 1):
        sending = asyncio.create_task(load.send(rabbitmq))
        await load.more()
    for count in (4, 2, 1, 3):  # between two of them, as in a restart, nobody receives
        async with learner.process(amqp_vhost, count):
            wanted = WHOLE if count == 1 else routed(*range(1, count + 1))
            assert await api.bindings() == wanted
            await load.more()
    load.stop()
    await within(sending)

    async with learner.process(amqp_vhost, 3):
        await eventually(lambda: set(learner.learned) == set(range(load.sent)))


async def test_nothing_changes_until_all_who_consume_want_it(
    rabbitmq: RabbitMQ, amqp_vhost: str, api: Api
) -> None:
    """As in a rolling upgrade, and in one that is taken back."""
    old, taken_back, new = Learner(), Learner(), Learner()
    async with old.process(amqp_vhost, 1):
        async with taken_back.process(amqp_vhost, 4):
            await publish(rabbitmq, of_users(range(100)))
            await eventually(lambda: len(old.learned + taken_back.learned) == 100)
            assert ("watched", QUEUE.name) in await api.bindings()
        await publish(rabbitmq, of_users(range(100, 200)))
        await eventually(lambda: len(old.learned + taken_back.learned) == 200)

        async with new.process(amqp_vhost, 4):
            pass
    async with new.process(amqp_vhost, 4):
        assert await api.bindings() == routed(1, 2, 3, 4)

        async with old.process(amqp_vhost, 2):
            await publish(rabbitmq, of_users(range(200, 300)))
            await eventually(lambda: len(old.learned + taken_back.learned + new.learned) == 300)
            assert await api.bindings() == routed(1, 2, 3, 4)

    everything = old.learned + taken_back.learned + new.learned
    assert sorted(everything) == list(range(300))


async def test_who_is_left_gets_the_number_that_is_wanted(amqp_vhost: str, api: Api) -> None:
    async with AsyncExitStack() as old:
        await old.enter_async_context(process(amqp_vhost, 2))
        async with process(amqp_vhost, 4):
            assert await api.bindings() == routed(1, 2)

            await old.aclose()

            await eventually(lambda: is_routed(api, 1, 2, 3, 4))


async def test_a_process_that_knows_no_partitions_has_no_less_a_say(
    rabbitmq: RabbitMQ, amqp_vhost: str, api: Api
) -> None:
    async with rabbitmq.subscription(QUEUE, PREFETCH), process(amqp_vhost, 4):
        assert await api.bindings() == WHOLE

    async with process(amqp_vhost, 4):
        assert await api.bindings() == routed(1, 2, 3, 4)


async def is_routed(api: Api, *numbers: int) -> bool:
    return await api.bindings() == routed(*numbers)


async def test_processes_share_the_partitions_and_take_over_those_of_one_that_is_gone(
    rabbitmq: RabbitMQ, amqp_vhost: str, api: Api
) -> None:
    first, second, sent = Learner(), Learner(), 0

    async def is_shared() -> bool:
        nonlocal sent
        await publish(rabbitmq, of_users(range(sent, sent + 4 * USERS)))
        sent += 4 * USERS
        return sorted((await api.active(4)).values()) == [2, 2]

    async with first.process(amqp_vhost, 4):
        async with second.process(amqp_vhost, 4):
            await eventually(is_shared)
            assert second.learned
        await publish(rabbitmq, of_users(range(sent, sent + USERS)))
        sent += USERS
        await eventually(lambda: set(first.learned + second.learned) == set(range(sent)))
        await eventually(lambda: is_active_alone(api))


async def is_active_alone(api: Api) -> bool:
    return list((await api.active(4)).values()) == [4]


async def test_what_was_received_of_a_partition_before_it_was_given_back_is_settled(
    rabbitmq: RabbitMQ, amqp_vhost: str, api: Api
) -> None:
    async with process(amqp_vhost, 2) as one:
        await publish(rabbitmq, of_users(range(60)))
        held = await received(one, 60)
        async with process(amqp_vhost, 2) as other:

            async def is_shared() -> bool:
                await publish(rabbitmq, of_users([60, 61, 62, 63, 64, 65, 66, 67]))
                return sorted((await api.active(2)).values()) == [1, 1]

            await eventually(is_shared)
            await one.ack_up_to(held[-1].tag)
            assert await received(other, 1)
    async with process(amqp_vhost, 2) as later:
        again = await within(later.receive(PREFETCH))

    assert not set(range(60)) & set(numbers_in(again))
