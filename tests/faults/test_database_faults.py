"""A service's PostgreSQL dies, goes away, or cuts it off."""

import asyncio

import httpx
import pytest

from tests.faults.load import Load
from tests.faults.rabbit import Vhost
from tests.faults.stored import make_read_only, make_writable, terminate_backends
from tests.faults.system import System, in_thread
from tests.faults.trial import Report, under_load
from tests.support.eventually import eventually
from tests.support.http_client import open_client


async def until_refused(load: Load, count: int) -> None:
    """Wait until so many requests more were answered with 503."""
    goal = load.answers.statuses.get("503", 0) + count
    await eventually(lambda: load.answers.statuses.get("503", 0) >= goal)


async def test_without_its_database_the_consumption_service_says_when_to_come_back(
    system: System, report: Report
) -> None:
    database = system.servers.consumption
    pid = system.consumption.pid
    async with under_load("F14 consumption database killed", system, report) as trial:
        for _ in range(2):
            await in_thread(database.kill)
            await until_refused(trial.load, 20)
            assert await system.consumption.readiness() is None
            assert (await live(system.consumption.url)).is_success
            await in_thread(database.start)
            await trial.load.more(20)
            await trial.recovered()

    assert system.consumption.pid == pid
    assert trial.answers.statuses.keys() <= {"201", "503"}


@pytest.mark.chaos
async def test_a_database_that_can_only_be_read_is_away(system: System, report: Report) -> None:
    database = system.places.consumption_database
    async with under_load("F14 consumption database read-only", system, report) as trial:
        await make_read_only(database)
        await until_refused(trial.load, 20)
        await make_writable(database)
        await trial.load.more(20)
        await trial.recovered()

    assert trial.answers.statuses.keys() <= {"201", "503"}


async def test_learning_waits_until_its_database_can_be_written(
    system: System, report: Report
) -> None:
    database = system.places.recommendation_database
    async with under_load("F15 recommendation database read-only", system, report) as trial:
        await make_read_only(database)
        await trial.load.more(300)
        await make_writable(database)
        await trial.recovered()

    assert trial.answers.statuses.keys() == {"201"}


@pytest.mark.chaos
async def test_cutting_the_consumption_service_off_its_database_makes_no_false_promise(
    system: System, report: Report
) -> None:
    async with under_load("F14 consumption database cut off", system, report) as trial:
        for _ in range(10):
            await trial.load.more(50)
            assert await terminate_backends(system.places.consumption_database)
            await trial.recovered()

    assert trial.answers.statuses.keys() <= {"201", "503"}


async def test_learning_waits_for_its_database_and_parks_nothing(
    system: System, report: Report
) -> None:
    database = system.servers.recommendation
    async with under_load("F15 recommendation database killed", system, report) as trial:
        await in_thread(database.kill)
        assert await system.recommendation.readiness() is None
        await trial.load.more(500)
        await in_thread(database.start)
        await trial.recovered()

    assert trial.answers.statuses.keys() == {"201"}
    # It paused, with what it had: nothing went back to the queue.
    vhost = Vhost(system.servers.broker, system.places.amqp)
    assert await asyncio.to_thread(vhost.redelivered) == 0


@pytest.mark.chaos
async def test_cutting_the_recommendation_service_off_its_database_loses_nothing(
    system: System, report: Report
) -> None:
    async with under_load("F15 recommendation database cut off", system, report) as trial:
        for _ in range(10):
            await trial.load.more(50)
            assert await terminate_backends(system.places.recommendation_database)
            await trial.recovered()


async def live(url: str) -> httpx.Response:
    """Return the answer to whether the process runs."""
    async with open_client(url) as client:
        return await client.get("/health/live")
