"""Partitions of a queue on RabbitMQ: users spread over any number, and a process for each."""

from collections import defaultdict
from dataclasses import replace

import pytest

from shared.broker.interface import BrokerRefused, BrokerUnavailable
from shared.broker.rabbitmq.broker import RabbitMQ
from shared.broker.topology import Exchange, partition, partitioned
from tests.contract.conversation import PREFETCH, received, until_depth
from tests.contract.partitions import (
    QUEUE,
    USERS,
    WHOLE,
    Api,
    emptied,
    numbers_in,
    of_users,
    process,
    publish,
    routed,
)


async def test_without_partitions_there_is_the_queue_and_nothing_else(
    amqp_vhost: str, api: Api
) -> None:
    async with process(amqp_vhost, 1):
        assert await api.names("queues") == {QUEUE.name, "learner.parked"}
        assert "learner.watched" not in await api.names("exchanges")
        assert await api.bindings() == WHOLE


async def test_each_partition_is_a_queue_that_loses_nothing_and_is_for_one_consumer(
    amqp_vhost: str, api: Api
) -> None:
    async with process(amqp_vhost, 4):
        declared = {one["name"]: one["arguments"] for one in await api.ask("queues")}
        exchanges = {one["name"]: one for one in await api.ask("exchanges")}
        assert await api.bindings() == routed(1, 2, 3, 4)

    for number in range(1, 5):
        arguments = declared[partition(QUEUE, number).name]
        assert arguments == declared[QUEUE.name] | {"x-single-active-consumer": True}
    dividing = exchanges["learner.watched"]
    assert (dividing["type"], dividing["durable"]) == ("x-consistent-hash", True)
    assert dividing["arguments"] == {"hash-header": "x-user-id"}


async def test_users_are_spread_and_each_ones_messages_stay_in_one_partition_in_order(
    rabbitmq: RabbitMQ, amqp_vhost: str
) -> None:
    async with process(amqp_vhost, 4):
        pass
    await publish(rabbitmq, of_users(range(10 * USERS)))

    parts = [await emptied(rabbitmq, number) for number in (1, 2, 3, 4)]

    where = defaultdict(set)
    for part, numbers in enumerate(parts):
        assert numbers == sorted(numbers)
        for number in numbers:
            where[number % USERS].add(part)
    assert sorted(number for part in parts for number in part) == list(range(10 * USERS))
    assert all(len(parts_of_user) == 1 for parts_of_user in where.values())
    assert all(parts)


async def test_messages_that_do_not_say_whose_they_are_all_get_to_one_partition(
    rabbitmq: RabbitMQ, amqp_vhost: str
) -> None:
    async with process(amqp_vhost, 4):
        pass
    await publish(rabbitmq, [one._replace(headers={}) for one in of_users(range(50))])
    await publish(rabbitmq, [one._replace(headers={"x": "y"}) for one in of_users(range(50, 99))])

    parts = [await emptied(rabbitmq, number) for number in (1, 2, 3, 4)]

    assert [part for part in parts if part] == [list(range(99))]


async def test_one_process_receives_all_partitions_and_the_depth_is_that_of_all(
    rabbitmq: RabbitMQ,
) -> None:
    queue = partitioned(QUEUE, 4)
    async with rabbitmq.subscription(queue, PREFETCH):
        pass
    await publish(rabbitmq, of_users(range(100)))

    await until_depth(rabbitmq, queue, ready=100, consumers=0)
    async with rabbitmq.subscription(queue, PREFETCH) as subscription:
        deliveries = await received(subscription, 100)
        await subscription.ack_up_to(deliveries[-1].tag)
        await until_depth(rabbitmq, queue, ready=0, consumers=1)

    assert sorted(numbers_in(deliveries)) == list(range(100))
    assert [one.tag for one in deliveries] == list(range(1, 101))


async def test_a_partition_that_exists_with_other_promises_is_refused(
    rabbitmq: RabbitMQ, amqp_vhost: str
) -> None:
    async with rabbitmq.subscription(replace(partition(QUEUE, 2), single_active_consumer=False), 1):
        pass

    with pytest.raises(BrokerRefused, match="x-single-active-consumer"):
        async with process(amqp_vhost, 2):
            pass


async def test_a_partition_that_is_deleted_is_noticed_and_made_again(
    amqp_vhost: str, api: Api
) -> None:
    async with process(amqp_vhost, 2) as subscription:
        await api.delete_queue(partition(QUEUE, 2).name)
        with pytest.raises(BrokerUnavailable):
            await received(subscription, 1)

    async with process(amqp_vhost, 2):
        assert await api.bindings() == routed(1, 2)


async def test_partitions_that_somebody_deleted_leave_the_queue_as_if_there_had_been_none(
    amqp_vhost: str, api: Api
) -> None:
    async with process(amqp_vhost, 2):
        pass
    async with process(amqp_vhost, 1):
        assert await api.bindings() == WHOLE
    for number in (2, 1):
        await api.delete_queue(partition(QUEUE, number).name)

    async with process(amqp_vhost, 1):
        assert "learner.watched" not in await api.names("exchanges")
        assert await api.bindings() == WHOLE


async def test_an_exchange_of_a_type_that_is_not_known_lacks_a_plugin(rabbitmq: RabbitMQ) -> None:
    unknown = Exchange("unknown", "x-nonsense")  # type: ignore[arg-type]

    with pytest.raises(BrokerRefused, match=r"lacks a plugin.*x-nonsense"):
        async with rabbitmq.publisher(unknown):
            pass
