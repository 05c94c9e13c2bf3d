"""Services start in any order, stop when asked, and may be held up or run side by side."""

import asyncio
import signal

import pytest

from tests.faults.load import CLIENTS
from tests.faults.oracle import BETWEEN_LOOKS
from tests.faults.servers import frozen
from tests.faults.service import END_TIMEOUT, Service, service
from tests.faults.stored import inbox_of, outbox_size
from tests.faults.system import System, in_thread
from tests.faults.trial import Report, under_load
from tests.support.eventually import eventually


async def stopped(one: Service) -> None:
    """Ask the service to stop, and wait until it has ended well."""
    one.ask_to_stop()
    code = await asyncio.to_thread(one.wait, END_TIMEOUT)
    assert code in {0, -signal.SIGTERM}
    assert "Traceback" not in one.log(), one.log()


async def test_a_service_that_is_asked_to_stop_leaves_nothing_undone(
    system: System, report: Report
) -> None:
    async with under_load("SIGTERM of both services in turn", system, report) as trial:
        for one in (system.consumption, system.recommendation):
            await trial.load.more(100)
            await stopped(one)
            one.start()
            await one.until_ready()
            await trial.recovered()

    # Nothing that was published or learned already is so again.
    assert (await system.stats())["events"]["duplicates"] == 0


async def test_a_consumption_service_that_stops_announces_what_it_accepted(
    system: System, report: Report
) -> None:
    async with under_load("SIGTERM of the consumption service", system, report) as trial:
        await trial.load.more(100)
        await stopped(system.consumption)

        assert await outbox_size(system.places.consumption_database) == 0

        system.consumption.start()
        await system.consumption.until_ready()
        await trial.recovered()


@pytest.mark.chaos
async def test_a_service_stops_in_time_while_the_broker_is_mute(system: System) -> None:
    with frozen(system.servers.broker):
        await stopped(system.consumption)
        await stopped(system.recommendation)


@pytest.mark.chaos
async def test_a_consumption_service_that_was_held_up_goes_on_where_it_was(
    system: System, report: Report
) -> None:
    async with under_load("SIGSTOP of the consumption service", system, report) as trial:
        for _ in range(3):
            await trial.load.more(50)
            system.consumption.signal(signal.SIGSTOP)
            await eventually(lambda: trial.load.waiting == CLIENTS)
            system.consumption.signal(signal.SIGCONT)
            await trial.recovered()

    assert trial.answers.statuses.keys() == {"201"}


@pytest.mark.chaos
async def test_a_recommendation_service_that_was_held_up_catches_up(
    system: System, report: Report
) -> None:
    async with under_load("SIGSTOP of the recommendation service", system, report) as trial:
        for _ in range(3):
            system.recommendation.signal(signal.SIGSTOP)
            await trial.load.more(500)
            system.recommendation.signal(signal.SIGCONT)
            await trial.recovered()


@pytest.mark.chaos
async def test_one_of_two_recommendation_services_may_be_killed(
    system: System, report: Report
) -> None:
    second = service("recommendation_service", system.folder, system.recommendation.settings)
    with second as other:
        other.start()
        await other.until_ready()
        async with under_load(
            "F20 one of two recommendation services killed", system, report
        ) as trial:
            for _ in range(3):
                await trial.load.more(200)
                other.kill()
                await trial.recovered()
                other.start()
                await other.until_ready()

        assert await eventually(lambda: same_model(system.recommendation, other))


@pytest.mark.chaos
async def test_another_consumption_service_sends_what_a_killed_one_left(
    system: System, report: Report
) -> None:
    second = service("consumption_service", system.folder, system.consumption.settings)
    with second as other:
        other.start()
        await other.until_ready()
        async with under_load(
            "F20 one of two consumption services killed", system, report
        ) as trial:
            with frozen(system.servers.broker):
                await trial.load.more(300)
                system.consumption.kill()
            await trial.recovered()
            system.consumption.start()
            await system.consumption.until_ready()


async def same_model(one: Service, other: Service) -> bool:
    """Tell whether both know the same."""
    await asyncio.sleep(BETWEEN_LOOKS)
    models = [(await each.get("/stats"))["model"] for each in (one, other)]
    return bool(models[0] == models[1])


@pytest.mark.chaos
async def test_the_consumption_service_may_start_before_anything_else(
    stopped_system: System, report: Report
) -> None:
    system = stopped_system
    await in_thread(system.servers.broker.stop)
    system.consumption.start()
    await system.consumption.until_ready()
    async with under_load("Start: consumption service, then broker", system, report) as trial:
        system.recommendation.start()
        await system.recommendation.until_ready()
        await trial.load.more(100)
        assert not await inbox_of(system.places.recommendation_database)
        await in_thread(system.servers.broker.start)
        await trial.recovered()


@pytest.mark.chaos
async def test_a_service_waits_for_a_database_that_is_not_up_yet(
    stopped_system: System, report: Report
) -> None:
    system = stopped_system
    for server in (system.servers.consumption, system.servers.recommendation):
        await in_thread(server.stop)
    system.recommendation.start()
    system.consumption.start()
    await eventually(lambda: "waiting for the database" in system.consumption.log())
    for server in (system.servers.consumption, system.servers.recommendation):
        await in_thread(server.start)
    await system.recommendation.until_ready()
    await system.consumption.until_ready()
    async with under_load("Start: services, then databases", system, report) as trial:
        await trial.recovered()
