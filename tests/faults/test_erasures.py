"""Users are erased while parts come and go: each receipt is completed, and nothing comes back."""

import os
import random

import pytest

from tests.faults.failpoints import Failpoints
from tests.faults.network import Wires
from tests.faults.service import Service
from tests.faults.stored import (
    erased_in,
    learning_held_up,
    outbox_size,
    tables_about,
    unfinished_erasures,
)
from tests.faults.system import System, in_thread
from tests.faults.visitors import FIRST, coming_and_going, nobody_yet
from tests.support.eventually import eventually

pytestmark = pytest.mark.chaos

SEED = int(os.environ.get("SEED", "1"))
MOST = int(os.environ.get("FAILPOINTS", "10"))  # points to die at, chosen by the seed
OPENING = " subscription+"  # passed when there is a new connection
PATHS = {
    "consumption_service": "consume/erasures.py",
    "recommendation_service": "consume/erasures.py",
}


async def restarted(service: Service) -> None:
    """Start the service again, and wait until it works."""
    service.start()
    await service.until_ready()


async def test_the_recommendation_service_is_killed_before_it_says_that_it_erased(
    wired: System, wires: Wires
) -> None:
    database = wired.places.recommendation_database
    async with nobody_yet(wired) as visitors:
        await visitors.watch(FIRST)
        await eventually(lambda: tables_about(database, [FIRST]))
        wires.consuming.to_server.flowing.clear()
        erasure_id = await visitors.erase(FIRST)
        await eventually(lambda: erased_in(database))
        assert not (await visitors.receipt(erasure_id))["done"]
        wired.recommendation.kill()
        wires.consuming.heal()
        await restarted(wired.recommendation)


async def test_the_consumption_service_is_killed_before_it_acknowledges_what_completes_a_receipt(
    wired: System, wires: Wires
) -> None:
    places = wired.places
    async with nobody_yet(wired) as visitors:
        await visitors.watch(FIRST)
        async with learning_held_up(places.recommendation_database):
            erasure_id = await visitors.erase(FIRST)
            await eventually(lambda: is_empty(places.consumption_database))
            wires.publishing.to_server.flowing.clear()
        await eventually(lambda: is_complete(places.consumption_database))
        wired.consumption.kill()
        wires.publishing.heal()
        wired.consumption.start()
        await wired.consumption.until_ready()
        first = await visitors.receipt(erasure_id)

    assert first["done"]


async def is_empty(database: str) -> bool:
    return await outbox_size(database) == 0


async def is_complete(database: str) -> bool:
    return await unfinished_erasures(database) == 0


async def test_the_broker_is_killed_while_users_are_erased(system: System) -> None:
    broker = system.servers.broker
    async with coming_and_going(system) as visitors:
        for _ in range(3):
            await visitors.more(5)
            await in_thread(broker.kill)
            await visitors.more(5)
            await in_thread(broker.start)


@pytest.mark.parametrize("package", sorted(PATHS))
async def test_a_service_dies_at_awaits_of_what_erases(
    package: str, stopped_system: System
) -> None:
    system = stopped_system
    services = (system.consumption, system.recommendation)
    one = next(service for service in services if service.package == package)
    points = Failpoints(one, system.folder)
    dice = random.Random(SEED)  # noqa: S311 - a repeatable choice
    deaths = 0
    await system.start()
    async with coming_and_going(system):
        found = await points.some_of(PATHS[package], dice)
        there = [point for point in found if OPENING not in point]
        for point in there[:MOST]:
            if await points.die_at(point):
                deaths += 1
                await restarted(one)

    assert deaths > min(MOST, len(there)) / 2  # others are passed in trouble only
