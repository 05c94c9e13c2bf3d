"""A trial: a fault under load, judged when everything has settled."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Any, Final

from tests.faults.load import Answers, Load, loading
from tests.faults.oracle import BETWEEN_LOOKS, check, judge
from tests.faults.stored import inbox_of
from tests.faults.system import System
from tests.support.eventually import eventually

RECOVERY_TIMEOUT: Final = 150.0  # seconds; a few are enough on a quiet machine
BEFORE_AND_AFTER: Final = 50  # watches accepted while nothing is wrong yet, or any more

Report = Callable[[dict[str, Any]], None]


class Trial:
    """What is done to a system under load."""

    def __init__(self, system: System, load: Load) -> None:
        self.load = load
        self.times = 0  # how often the fault was there
        self.parked = 0  # what is expected to stay parked at the end
        self.recovery = 0.0  # seconds, of the slowest recovery
        self._system = system

    @property
    def answers(self) -> Answers:
        """Return what the clients saw."""
        return self.load.answers

    async def recovered(self) -> None:
        """The fault is over: wait until all that was accepted until now is learned."""
        begun = time.monotonic()
        accepted = set(self.answers.accepted)

        async def is_learned() -> bool:
            await asyncio.sleep(BETWEEN_LOOKS)
            return accepted <= await inbox_of(self._system.places.recommendation_database)

        with suppress(AssertionError):  # what is missing then is counted in the end
            await eventually(is_learned, RECOVERY_TIMEOUT)
        self.times += 1
        self.recovery = max(self.recovery, time.monotonic() - begun)


@asynccontextmanager
async def under_load(fault: str, system: System, report: Report) -> AsyncIterator[Trial]:
    """Keep the system busy while the block lasts; then stop, let it settle, judge and report."""
    async with loading(system.consumption.url, seed=len(fault)) as load:
        trial = Trial(system, load)
        await load.more(BEFORE_AND_AFTER)
        yield trial
        await load.more(BEFORE_AND_AFTER)
    verdict = await judge(system, trial.answers)
    seen = {"fault": fault, "times": trial.times, "recovery": round(trial.recovery, 1)}
    report(seen | asdict(verdict))
    await check(system, verdict, trial.parked)
    # The message is ours: pytest shows the values of a failed assertion only in a test module.
    assert trial.answers.improper == [], trial.answers.improper
