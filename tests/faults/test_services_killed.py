"""A service is killed, like by a power cut, and started again."""

import asyncio
from uuid import UUID

import pytest

from tests.faults.load import CLIENTS
from tests.faults.network import Wires
from tests.faults.oracle import BETWEEN_LOOKS
from tests.faults.servers import frozen
from tests.faults.service import Service
from tests.faults.stored import (
    held_up,
    inbox_of,
    learning_held_up,
    outbox_of,
    outbox_size,
    set_aside_in,
)
from tests.faults.system import System
from tests.faults.trial import Report, Trial, under_load
from tests.support.eventually import eventually
from tests.support.http_client import open_client

CRASHES = 25  # RabbitMQ parks a message that comes back for the 21st time


async def restarted(service: Service) -> None:
    """Start the service again, and wait until it works."""
    service.start()
    await service.until_ready()


async def until_learning_is_held_up(system: System, times: int = 1) -> None:
    """Wait until the recommendation service is in the middle of a transaction."""

    async def is_held_up() -> bool:
        return await held_up(system.places.recommendation_database) >= times

    await eventually(is_held_up)


async def until_more_is_learned(system: System) -> None:
    """Wait for the next commit."""
    database = system.places.recommendation_database
    known = await inbox_of(database)

    async def is_more() -> bool:
        return await inbox_of(database) > known

    await eventually(is_more)


async def until_learned_before_confirmed(system: System) -> None:
    """Wait until an event was published and learned whose confirm did not arrive."""
    places = system.places

    async def is_learned() -> bool:
        unconfirmed = await outbox_of(places.consumption_database)
        return bool(unconfirmed & await inbox_of(places.recommendation_database))

    await eventually(is_learned)


async def dropped(system: System) -> int:
    """Return how many deliveries were of what had been learned already."""
    return int((await system.stats())["events"]["duplicates"])


@pytest.mark.chaos
async def test_no_accepted_watch_is_lost_when_the_consumption_service_is_killed(
    system: System, report: Report
) -> None:
    async with under_load("F1 consumption service killed", system, report) as trial:
        for _ in range(2):
            await trial.load.more(100)
            system.consumption.kill()
            await restarted(system.consumption)
            await trial.recovered()


async def test_what_was_committed_and_not_announced_survives_a_kill(
    system: System, report: Report
) -> None:
    fault = "F1 consumption service killed before it published"
    async with under_load(fault, system, report) as trial:
        with frozen(system.servers.broker):
            await trial.load.more(200)
            system.consumption.kill()
        # Those on whose answers the clients waited when the broker froze may have been announced.
        assert await outbox_size(system.places.consumption_database) >= 200 - CLIENTS
        await restarted(system.consumption)
        await trial.recovered()


async def test_what_was_published_and_not_confirmed_is_learned_once(
    wired: System, wires: Wires, report: Report
) -> None:
    fault = "F1 consumption service killed before it saw the confirm"
    async with under_load(fault, wired, report) as trial:
        wires.publishing.from_server.flowing.clear()
        await trial.load.more(200)
        await until_learned_before_confirmed(wired)
        wired.consumption.kill()
        wires.publishing.reset()
        wires.publishing.from_server.flowing.set()
        await restarted(wired.consumption)
        await trial.recovered()

        assert await dropped(wired)


async def test_no_watch_is_lost_when_the_recommendation_service_is_killed_before_its_commit(
    system: System, report: Report
) -> None:
    fault = "F2 recommendation service killed before its commit"
    async with under_load(fault, system, report) as trial:
        async with learning_held_up(system.places.recommendation_database):
            await until_learning_is_held_up(system)
            await trial.load.more(300)
            system.recommendation.kill()
        await restarted(system.recommendation)
        await trial.recovered()


async def test_no_watch_is_learned_twice_when_the_recommendation_service_is_killed_before_its_ack(
    wired: System, wires: Wires, report: Report
) -> None:
    fault = "F2 recommendation service killed before its acknowledgement"
    async with under_load(fault, wired, report) as trial:
        wires.consuming.to_server.flowing.clear()
        await until_more_is_learned(wired)
        wired.recommendation.kill()
        wires.consuming.reset()
        wires.consuming.to_server.flowing.set()
        await restarted(wired.recommendation)
        await trial.recovered()

        assert await dropped(wired)


@pytest.mark.chaos
async def test_watches_that_crashes_had_the_broker_park_are_learned_when_they_are_sent_again(
    system: System, report: Report
) -> None:
    fault = "F3 recommendation service killed with a full prefetch"
    async with under_load(fault, system, report) as trial:
        async with learning_held_up(system.places.recommendation_database):
            await trial.load.more(400)
            with trial.load.resting():
                await crash_while_learning(system, trial)
        with trial.load.resting():
            parked = await eventually(lambda: parked_for_good(system, trial))
        await send_again(system, parked)
        await trial.recovered()

    assert parked


async def crash_while_learning(system: System, trial: Trial) -> None:
    """Kill the service again and again, each time with all that it may hold unacknowledged."""
    for crashes in range(1, CRASHES + 1):
        await until_learning_is_held_up(system, crashes)
        system.recommendation.kill()
        system.recommendation.start()
        trial.times += 1
    await system.recommendation.until_ready()


async def parked_for_good(system: System, trial: Trial) -> list[str]:
    """Return what is parked, when everything else is learned."""
    await asyncio.sleep(BETWEEN_LOOKS)
    database = system.places.recommendation_database
    parked = await set_aside_in(database)
    found = await inbox_of(database) | set(map(UUID, parked.values()))
    settled = trial.answers.accepted.keys() <= found
    return [str(parked_id) for parked_id in parked] if settled else []


async def send_again(system: System, parked: list[str]) -> None:
    """Do what an operator does about messages that were parked for no fault of theirs."""
    async with open_client(system.recommendation.url) as client:
        for parked_id in parked:
            answer = await client.post(f"/parked/{parked_id}/redeliver")
            assert answer.is_success, answer.text
