"""Random schedules: one to three troubles at once, of different parts, again and again.

`make chaos MINUTES=5 SEED=7` repeats a schedule: the same troubles, in the same order.
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from tests.faults.faults import Scene, Trouble, troubles
from tests.faults.network import Wires
from tests.faults.system import System
from tests.faults.trial import Report, under_load

log = logging.getLogger(__name__)

MINUTES = float(os.environ.get("MINUTES", "5"))
SEED = int(os.environ.get("SEED", "7"))
OVERLAP = (1, 2, 3)  # troubles at once
LASTING = (0.5, 5.0)  # seconds that they last together
SETTLING = 180  # seconds for the last recovery, and for the verdict


def chosen(dice: random.Random) -> Sequence[Trouble]:
    """Return some troubles that can be had at the same time."""
    parts = troubles()
    return [dice.choice(parts[part]) for part in dice.sample(sorted(parts), dice.choice(OVERLAP))]


async def have(trouble: Sequence[Trouble], scene: Scene, seconds: float) -> None:
    """Let it begin one after the other, last, and end; then wait until both services are up."""
    async with AsyncExitStack() as stack:
        for one in trouble:
            log.warning("%s", one)  # shown when the test fails
            await stack.enter_async_context(one(scene))
        await asyncio.sleep(seconds)
    await scene.system.consumption.until_ready()
    await scene.system.recommendation.until_ready()


@pytest.mark.chaos
@pytest.mark.timeout(MINUTES * 60 + SETTLING)
async def test_whatever_happens_nothing_is_lost_and_nothing_learned_twice(
    wired: System, wires: Wires, report: Report
) -> None:
    dice = random.Random(SEED)  # noqa: S311 - a repeatable schedule
    scene = Scene(wired, wires)
    end = time.monotonic() + MINUTES * 60
    fault = f"Random schedule, seed {SEED}, {MINUTES:g} minutes"
    async with under_load(fault, wired, report) as trial:
        while time.monotonic() < end:
            await have(chosen(dice), scene, dice.uniform(*LASTING))
            await trial.load.more(50)
            await trial.recovered()
