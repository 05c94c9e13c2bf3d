"""A service is killed at its awaits, between the request and the acknowledgement.

`make chaos FAILPOINTS=1000` does so at every one of them.
"""

import os
import random
from collections.abc import Sequence

import pytest

from tests.faults.failpoints import Failpoints
from tests.faults.service import Service
from tests.faults.system import System
from tests.faults.trial import Report, Trial, under_load

SEED = int(os.environ.get("SEED", "1"))

# Where a crash can do most harm: one await of each is chosen by the seed.
DECISIVE = {
    "consumption_service": (" _commit+", " _publish+", " delete_confirmed+"),
    "recommendation_service": (" _commit+", " learn+", " _settle+"),
}

# The way from the request to the acknowledgement, each part by where its task begins.
PATHS = {
    "consumption_service": (" __call__+", "record/group_commit.py", "publish/"),
    "recommendation_service": ("consume/watches.py",),
}
MOST = int(os.environ.get("FAILPOINTS", "20"))  # points to die at, chosen by the seed
OPENING = ("publisher+", "subscription+")  # of connections, which others reset

SERVICES = pytest.mark.parametrize("package", sorted(DECISIVE))


def service_of(system: System, package: str) -> Service:
    """Return the service by its package."""
    services = (system.consumption, system.recommendation)
    return next(one for one in services if one.package == package)


async def die_and_come_back(points: Failpoints, point: str, one: Service, trial: Trial) -> bool:
    """Kill the service at the point, if it passes it, and see that all is learned."""
    if not await points.die_at(point):
        return False
    one.start()
    await one.until_ready()
    await trial.recovered()
    return True


async def die_at_one_of(
    points: Failpoints, chosen: Sequence[str], one: Service, trial: Trial
) -> bool:
    """Kill the service at the first of the points that it passes: some it passes seldom."""
    for point in chosen:
        if await die_and_come_back(points, point, one, trial):
            return True
    return False


@SERVICES
async def test_a_service_may_die_where_it_does_most_harm(
    package: str, stopped_system: System, report: Report
) -> None:
    one = service_of(stopped_system, package)
    points = Failpoints(one, stopped_system.folder)
    await stopped_system.start()
    dice = random.Random(SEED)  # noqa: S311 - a repeatable choice
    async with under_load(
        f"F1 F2 {package} killed at decisive awaits", stopped_system, report
    ) as trial:
        for words in DECISIVE[package]:
            assert await die_at_one_of(points, await points.some_of(words, dice), one, trial), words


@SERVICES
@pytest.mark.chaos
@pytest.mark.timeout(1200)
async def test_a_service_may_die_at_any_of_its_awaits(
    package: str, stopped_system: System, report: Report
) -> None:
    one = service_of(stopped_system, package)
    points = Failpoints(one, stopped_system.folder)
    await stopped_system.start()
    async with under_load(f"F1 F2 {package} killed at any await", stopped_system, report) as trial:
        await trial.load.more(200)
        points_there = sorted(on_the_way(points, package))
        dice = random.Random(SEED)  # noqa: S311 - a repeatable choice
        for point in dice.sample(points_there, min(MOST, len(points_there))):
            await die_and_come_back(points, point, one, trial)

    assert trial.times > min(MOST, len(points_there)) / 2  # others are passed in trouble only


def on_the_way(points: Failpoints, package: str) -> set[str]:
    """Return the points between a request and the acknowledgement."""
    passed = {words: points.passed(words) for words in PATHS[package]}
    assert all(passed.values()), f"a word chooses no point: {passed}"
    found = {point for some in passed.values() for point in some}
    return {point for point in found if not any(words in point for words in OPENING)}
