"""Steady: the two services under a rate that does not depend on how fast they answer."""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Final

import uvloop

from benchmarks.harness.client import connected
from benchmarks.harness.command import Say
from benchmarks.harness.figures import Measured, percentile
from benchmarks.harness.open_loop import Arrivals, post_watches
from benchmarks.harness.probe import Probe
from benchmarks.harness.processor import Meter, quiet
from benchmarks.harness.systems import Running
from benchmarks.harness.verify import applied, learning, rows
from benchmarks.harness.wrk import BATCHES, WATCHES, Load, Sent, send

BLOCK: Final = 10_000_000  # watches of one load at most, each with a number of its own
PROBES: Final = 9_000_000  # where in a block the numbers of the probes begin
BREATH: Final = 30.0  # seconds that may pass between two loads, to work off what waits
TRIAL: Final = 4.0  # seconds of each step of the search
STEPS: Final = 5
BEHIND: Final = 0.25  # seconds that answers and learning may be behind at the end of a step


@dataclass
class Pair:
    """The two services, and what was sent to them so far."""

    running: Running
    loads: int = 0
    answered: int = 0
    unanswered: int = 0

    def take(self, connections: int, seconds: int) -> Measured:
        """Post watches over connections that each wait for their answers."""
        sent = self._send("/watches", Load(WATCHES, connections, seconds, self._first()))
        quiet(self.running.pids, BREATH)
        return sent.measured

    def work_off(self, connections: int, each: int, seconds: int) -> Measured:
        """Post watches in batches, faster than they are learned; measure how fast the rest is."""
        stored = asyncio.run(rows(self.running))  # before: to count them takes a while
        load = Load(BATCHES, connections, seconds, self._first(), each=each)
        stored += self._send("/watches/batch", load).answered
        meter, known = Meter(self.running.pids), applied(self.running)
        passed = learning(self.running, stored)
        measured = Measured({"rate": (applied(self.running) - known) / passed}, meter.read())
        quiet(self.running.pids, BREATH)
        return measured

    def _first(self) -> int:
        self.loads += 1
        return self.loads * BLOCK

    def _send(self, path: str, load: Load) -> Sent:
        sent = send(f"{self.running.url}{path}", load, self.running.pids)
        self.answered += sent.answered
        self.unanswered += (load.connections + sent.lost) * load.each
        return sent

    def keeps_up(self, rate: float) -> bool:
        """Tell whether everything is answered and learned as it comes."""
        known = applied(self.running)
        arrivals, learned = uvloop.run(self._trial(rate))
        self._count(arrivals)
        quiet(self.running.pids, BREATH)
        retry_while_unavailable = arrivals.finished < TRIAL + BEHIND
        return (
            retry_while_unavailable
            and not arrivals.failed
            and learned - known >= arrivals.sent - BEHIND * rate
        )

    def probed(self, rate: float, seconds: float) -> tuple[Probe, Measured]:
        """Return what a probe saw meanwhile, and how the requests fared."""
        meter = Meter(self.running.pids)
        probe, arrivals = uvloop.run(self._probed(rate, seconds))
        measured = Measured(
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
        quiet(self.running.pids, BREATH)
        return probe, measured

    def _count(self, arrivals: Arrivals) -> None:
        self.answered += arrivals.answered
        self.unanswered += arrivals.failed

    async def _trial(self, rate: float) -> tuple[Arrivals, int]:
        async with connected(self.running.url) as client:
            arrivals = await post_watches(client, rate, TRIAL, self._first())
            return arrivals, await asyncio.to_thread(applied, self.running)

    async def _probed(self, rate: float, seconds: float) -> tuple[Probe, Arrivals]:
        first = self._first()
        async with (
            connected(self.running.url) as posting,
            connected(self.running.url) as watching,
            connected(self.running.recommendation_url) as caller,
            asyncio.TaskGroup() as tasks,
        ):
            probe = Probe(watching, caller, first + PROBES)
            tasks.create_task(probe.run(monotonic() + seconds))
            arrivals = await post_watches(posting, rate, seconds, first)
        return probe, arrivals


def highest_sustained(pair: Pair, high: float, say: Say) -> float:
    """Return the highest rate at which the services keep up, found by halving."""
    low = 0.0
    for _ in range(STEPS):
        rate = (low + high) / 2
        kept = pair.keeps_up(rate)
        say(f"{rate:.0f} watches/s: {'kept up' if kept else 'fell behind'}")
        low, high = (rate, high) if kept else (low, rate)
    if not low:
        say("no rate was sustained; a thirty-second of the highest is taken")
    return low or high
