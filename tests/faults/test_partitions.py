"""Partitions: their number is changed, and a process that holds some is killed, under load."""

import os
import random
import signal

from tests.faults.rabbit import Vhost
from tests.faults.system import System
from tests.faults.test_starting_and_stopping import stopped
from tests.faults.test_workers import COUNT, workers_of
from tests.faults.trial import Report, under_load
from tests.support.eventually import eventually

PARTITIONS = 4


async def test_another_number_of_partitions_loses_nothing(
    stopped_system: System, report: Report
) -> None:
    system, service = stopped_system, stopped_system.recommendation
    await system.start()
    async with under_load("PARTITIONS 1, 4, 2, 1", system, report) as trial:
        for number in (4, 2, 1):
            await trial.load.more(100)
            await stopped(service)
            service.environment |= {"PARTITIONS": str(number)}
            service.start()
            await service.until_ready()
            await trial.recovered()


async def test_a_process_that_is_killed_leaves_its_partitions_to_the_other(
    stopped_system: System, report: Report
) -> None:
    system, service = stopped_system, stopped_system.recommendation
    service.environment |= {"PARTITIONS": str(PARTITIONS), "WORKERS": str(COUNT)}
    await system.start()
    vhost = Vhost(system.servers.broker, system.places.amqp)
    async with under_load("SIGKILL of a worker with partitions", system, report) as trial:

        async def is_shared() -> bool:
            await trial.load.answered(1)
            return [*vhost.partitions(PARTITIONS).values()] == [PARTITIONS // COUNT] * COUNT

        await eventually(is_shared)
        victim = random.choice(sorted(workers_of(service.pid)))  # noqa: S311 - no secret
        os.kill(victim, signal.SIGKILL)
        await trial.recovered()
        await eventually(is_shared)  # with the one that takes the victim's place
