"""The consumer, while the broker has no patience with it, or none with publishers."""

import asyncio

import pytest

from tests.faults import rabbit
from tests.faults.oracle import BETWEEN_LOOKS
from tests.faults.rabbit import Vhost
from tests.faults.stored import inbox_of, make_read_only, make_writable, outbox_of
from tests.faults.system import System, in_thread
from tests.faults.trial import Report, under_load
from tests.support.eventually import eventually

pytestmark = pytest.mark.chaos


async def test_what_is_held_longer_than_the_broker_waits_is_learned_once(
    stopped_system: System, report: Report
) -> None:
    system = stopped_system
    vhost = Vhost(system.servers.broker, system.places.amqp)
    database = system.places.recommendation_database

    async def is_cut_off() -> bool:
        await asyncio.sleep(BETWEEN_LOOKS)
        return await asyncio.to_thread(vhost.consumers) == 0

    with rabbit.impatience(system.servers.broker):
        await system.start()
        async with under_load("F18 held too long", system, report) as trial:
            await make_read_only(database)
            await eventually(is_cut_off)
            await make_writable(database)
            await trial.recovered()


async def test_while_an_alarm_holds_up_publishers_the_queue_is_learned(
    system: System, report: Report
) -> None:
    broker, places = system.servers.broker, system.places
    async with under_load("F6 memory alarm, the queue not empty", system, report) as trial:
        system.recommendation.kill()
        await trial.load.more(300)
        await in_thread(lambda: rabbit.raise_memory_alarm(broker))
        try:
            accepted = set(trial.answers.accepted)  # before the outbox is looked at
            queued = accepted - await outbox_of(places.consumption_database)
            system.recommendation.start()

            async def is_learned() -> bool:
                await asyncio.sleep(BETWEEN_LOOKS)
                return queued <= await inbox_of(places.recommendation_database)

            await eventually(is_learned)
        finally:
            await in_thread(lambda: rabbit.end_memory_alarm(broker))
        await trial.recovered()

    assert queued
