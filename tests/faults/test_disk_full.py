"""A database has no room on its disk: nothing is promised, nothing lost; it goes on with room."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.faults.disk import Disk, own_disk
from tests.faults.rabbit import Vhost
from tests.faults.service import Service
from tests.faults.system import Places, System
from tests.faults.trial import Report, under_load
from tests.support.eventually import eventually

pytestmark = pytest.mark.chaos

FULL = "No space left on device"  # what PostgreSQL says
REFUSED = 20  # requests


# Asked for before the services are, so that they are gone when the database moves back.
@pytest_asyncio.fixture
async def consumption_disk(places: Places) -> AsyncGenerator[Disk]:
    async with own_disk(places.consumption_database) as disk:
        yield disk


@pytest_asyncio.fixture
async def recommendation_disk(places: Places) -> AsyncGenerator[Disk]:
    async with own_disk(places.recommendation_database) as disk:
        yield disk


async def until_it_says(service: Service, words: str, times: int = 1) -> None:
    """Wait until a service has complained so often."""
    await eventually(lambda: service.log().count(words) >= times)


async def test_without_room_the_consumption_service_says_when_to_come_back(
    consumption_disk: Disk, system: System, report: Report
) -> None:
    pid = system.consumption.pid
    async with under_load("F14 consumption database's disk full", system, report) as trial:
        for times in (1, 2):
            with consumption_disk.full():
                refused = trial.answers.statuses.get("503", 0) + REFUSED
                await eventually(lambda: trial.answers.statuses.get("503", 0) >= refused)  # noqa: B023
                await until_it_says(system.consumption, FULL, times)
            await trial.load.more(20)
            await trial.recovered()

    assert system.consumption.pid == pid
    assert trial.answers.statuses.keys() == {"201", "503"}


async def test_learning_waits_until_its_disk_has_room(
    recommendation_disk: Disk, system: System, report: Report
) -> None:
    pid = system.recommendation.pid
    async with under_load("F15 recommendation database's disk full", system, report) as trial:
        with recommendation_disk.full():
            await until_it_says(system.recommendation, FULL, times=3)
            await trial.load.more(100)
        await trial.recovered()

    assert system.recommendation.pid == pid
    assert trial.answers.statuses.keys() == {"201"}
    # It paused, with what it had: nothing went back to the queue.
    vhost = Vhost(system.servers.broker, system.places.amqp)
    assert await asyncio.to_thread(vhost.redelivered) == 0
