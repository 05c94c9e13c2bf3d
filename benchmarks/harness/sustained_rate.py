"""Sustained rate: the highest open-loop rate at which both services keep up."""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Final

import uvloop

from benchmarks.harness.client import connected
from benchmarks.harness.command import Log
from benchmarks.harness.cpu import CpuMeter, wait_until_idle
from benchmarks.harness.freshness_probe import FreshnessProbe
from benchmarks.harness.open_loop import Arrivals, post_watches
from benchmarks.harness.results import Measurement, percentile
from benchmarks.harness.systems import Running
from benchmarks.harness.verify import applied, count_stored, wait_until_learned
from benchmarks.harness.wrk import BATCH_SCRIPT, WATCH_SCRIPT, Load, LoadResult, run_load

BLOCK: Final = 10_000_000  # watches of one load at most, each with a number of its own
PROBES: Final = 9_000_000  # first number of the probes in a block
IDLE_TIMEOUT: Final = 30.0  # seconds between two loads, for the backlog
STEP_SECONDS: Final = 4.0  # of each step of the search
STEPS: Final = 5
MAX_BEHIND: Final = 0.25  # seconds that answers and learning may lag at the end of a step


@dataclass
class LoadedServices:
    """The two services, and the requests sent to them so far."""

    running: Running
    loads: int = 0
    answered: int = 0
    unanswered: int = 0

    def ingest(self, connections: int, seconds: int) -> Measurement:
        """Post watches in a closed loop."""
        sent = self._send("/watches", Load(WATCH_SCRIPT, connections, seconds, self._first()))
        wait_until_idle(self.running.pids, IDLE_TIMEOUT)
        return sent.measured

    def drain_backlog(self, connections: int, each: int, seconds: int) -> Measurement:
        """Post batches faster than they are learned; measure how fast the backlog is learned."""
        stored = asyncio.run(count_stored(self.running))  # before: to count them takes a while
        load = Load(BATCH_SCRIPT, connections, seconds, self._first(), each=each)
        stored += self._send("/watches/batch", load).answered
        meter, known = CpuMeter(self.running.pids), applied(self.running)
        passed = wait_until_learned(self.running, stored)
        measured = Measurement({"rate": (applied(self.running) - known) / passed}, meter.read())
        wait_until_idle(self.running.pids, IDLE_TIMEOUT)
        return measured

    def _first(self) -> int:
        self.loads += 1
        return self.loads * BLOCK

    def _send(self, path: str, load: Load) -> LoadResult:
        sent = run_load(f"{self.running.url}{path}", load, self.running.pids)
        self.answered += sent.answered
        self.unanswered += (load.connections + sent.lost) * load.each
        return sent

    def keeps_up(self, rate: float) -> bool:
        """Tell whether all watches are answered and learned as they arrive."""
        known = applied(self.running)
        arrivals, learned = uvloop.run(self._run_step(rate))
        self._count(arrivals)
        wait_until_idle(self.running.pids, IDLE_TIMEOUT)
        answered_in_time = arrivals.finished < STEP_SECONDS + MAX_BEHIND
        return (
            answered_in_time
            and not arrivals.failed
            and learned - known >= arrivals.sent - MAX_BEHIND * rate
        )

    def probe_freshness(self, rate: float, seconds: float) -> tuple[FreshnessProbe, Measurement]:
        """Return the probe of an open-loop load, and the measurement of its requests."""
        meter = CpuMeter(self.running.pids)
        probe, arrivals = uvloop.run(self._run_with_probe(rate, seconds))
        measured = Measurement(
            {
                "rate": arrivals.answered / seconds,
                "p50_ms": 1e3 * percentile(arrivals.latencies, 0.5),
                "p99_ms": 1e3 * percentile(arrivals.latencies, 0.99),
                "lost": arrivals.failed,
            },
            meter.read(),
        )
        self._count(arrivals)
        self.answered += len(probe.delays)
        wait_until_idle(self.running.pids, IDLE_TIMEOUT)
        return probe, measured

    def _count(self, arrivals: Arrivals) -> None:
        self.answered += arrivals.answered
        self.unanswered += arrivals.failed

    async def _run_step(self, rate: float) -> tuple[Arrivals, int]:
        async with connected(self.running.url) as client:
            arrivals = await post_watches(client, rate, STEP_SECONDS, self._first())
            return arrivals, await asyncio.to_thread(applied, self.running)

    async def _run_with_probe(self, rate: float, seconds: float) -> tuple[FreshnessProbe, Arrivals]:
        first = self._first()
        async with (
            connected(self.running.url) as posting,
            connected(self.running.url) as watching,
            connected(self.running.recommendation_url) as caller,
            asyncio.TaskGroup() as tasks,
        ):
            probe = FreshnessProbe(watching, caller, first + PROBES)
            tasks.create_task(probe.run(monotonic() + seconds))
            arrivals = await post_watches(posting, rate, seconds, first)
        return probe, arrivals


def highest_sustained(services: LoadedServices, high: float, log: Log) -> float:
    """Return the highest rate at which the services keep up, found by bisection."""
    low = 0.0
    for _ in range(STEPS):
        rate = (low + high) / 2
        kept = services.keeps_up(rate)
        log(f"{rate:.0f} watches/s: {'kept up' if kept else 'fell behind'}")
        low, high = (rate, high) if kept else (low, rate)
    if not low:
        log("no rate was sustained; a thirty-second of the highest is taken")
    return low or high
