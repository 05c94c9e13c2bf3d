"""Growth: how rates, freshness and memory change with the number of stored watches.

    python -m benchmarks.growth [--json] [--rounds 3] [--seconds 4] [--stored 0 100000 1000000]
                                [--rate 200] [--minutes 2]

For each number of stored watches both services start on prefilled databases. In each round, watches
are posted over 64 connections; batches build a backlog, whose learning is measured; recommendations
are read over 32 connections; freshness is probed at a fixed rate. Last, the services on the largest
databases take that rate for the minutes of a soak test, while the memory of every process is noted.
"""

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from benchmarks.harness.command import Benchmark, Log, add_rounds, main
from benchmarks.harness.cpu import memory, peak_memory
from benchmarks.harness.peers import UPNEXT
from benchmarks.harness.prefill import prefill
from benchmarks.harness.report import Table
from benchmarks.harness.results import Results, percentile
from benchmarks.harness.servers import Servers, fresh_environment
from benchmarks.harness.sustained_rate import LoadedServices
from benchmarks.harness.systems import started
from benchmarks.harness.verify import verified
from benchmarks.harness.wrk import READ_SCRIPT, Load, run_load
from shared.errors import CannotStart

INGEST: Final = 64  # connections
BATCH_LOAD: Final = (8, 100)  # connections, watches in each
READS: Final = 32  # connections
WARM_UP: Final = (16, 1)  # connections, seconds
WATCHES_PER_USER: Final = 10  # watches of a user
MIN_USERS: Final = 1000  # users
START_TIMEOUT: Final = 1200.0  # seconds for the service to fold its model
MEMORY_INTERVAL: Final = 15.0  # seconds of a soak test
MINUTE: Final = 60.0


@dataclass(frozen=True)
class PrefilledServices:
    """Both services, on prefilled databases."""

    services: LoadedServices
    stored: int
    start_s: float
    start_mib: float  # of the recommendation service, at most
    results: Results = field(default_factory=Results)
    delays: list[float] = field(default_factory=list)  # seconds

    @property
    def memory(self) -> dict[str, float]:
        """The memory of each process, in MiB."""
        return {name: memory(pid) for name, pid in self.services.running.pids.items()}

    def ask(self, seconds: int, seed: int) -> Any:
        """Read recommendations for random users."""
        load = Load(READ_SCRIPT, READS, seconds, seed, _users(self.stored))
        return run_load(self.services.running.recommendation_url, load, self.services.running.pids)

    def measure(self, rate: float, seconds: int, round_number: int) -> None:
        """Measure one round."""
        results = self.results
        results.add("taking", INGEST, self.services.ingest(INGEST, seconds))
        results.add("learning", 1, self.services.drain_backlog(*BATCH_LOAD, seconds=seconds))
        results.add("asking", READS, self.ask(seconds, round_number).measured)
        probe, posted = self.services.probe_freshness(rate, seconds)
        results.add("probing", rate, posted)
        self.delays.extend(probe.delays)

    @property
    def found(self) -> dict[str, Any]:
        """The results of all rounds."""
        freshness = {
            f"p{share}_ms": round(1e3 * percentile(self.delays, share / 100), 1)
            for share in (50, 99)
        }
        return {
            "start_s": self.start_s,
            "start_mib": self.start_mib,
            "memory_mib": self.memory,
            "figures": self.results.figures,
            "freshness": freshness,
        }

    def verified(self) -> dict[str, object]:
        """Verify that every watch is stored and learned."""
        services = self.services
        return verified(services.running, self.stored + services.answered, services.unanswered)


def measure(servers: Servers, arguments: argparse.Namespace, log: Log) -> dict[str, Any]:
    """Measure each number of stored watches; soak-test the last."""
    with ExitStack() as stack:
        sizes: list[PrefilledServices] = []
        for stored in arguments.stored:
            log(f"{stored:,} stored watches")
            sizes.append(stack.enter_context(_start_prefilled(servers, stored)))
            sizes[-1].services.ingest(*WARM_UP)
        for number in range(arguments.rounds):
            for grown in sizes if number % 2 else reversed(sizes):
                log(f"round {number + 1}: {grown.stored:,} stored watches")
                grown.measure(arguments.rate, arguments.seconds, number)
        found = {str(grown.stored): grown.found for grown in sizes}
        soaked: dict[str, Any] = {}
        if arguments.minutes:
            log(f"soaking for {arguments.minutes:g} minutes")
            soaked = _measure_soak(sizes[-1], arguments)
        for grown in sizes:
            found[str(grown.stored)]["verified"] = grown.verified()
    return {"sizes": found, "soak": soaked}


@contextmanager
def _start_prefilled(servers: Servers, stored: int) -> Iterator[PrefilledServices]:
    with fresh_environment(servers) as environment:
        asyncio.run(prefill(environment, stored, _users(stored)))
        began = monotonic()
        with started(UPNEXT, environment, {}) as running:
            running.wait(running.recommendation_url, START_TIMEOUT)
            running.wait(running.url)
            took = round(monotonic() - began, 1)
            most = peak_memory(running.processes["recommendation"].pid)
            yield PrefilledServices(LoadedServices(running), stored, took, most)


def _users(stored: int) -> int:
    return max(MIN_USERS, stored // WATCHES_PER_USER)


def _measure_soak(grown: PrefilledServices, arguments: argparse.Namespace) -> dict[str, Any]:
    """Post watches at the fixed rate, and note the memory after each interval."""
    began, sizes, longest = monotonic(), [grown.memory], 0.0
    whole = arguments.minutes * MINUTE
    while monotonic() < began + whole:
        probe, _ = grown.services.probe_freshness(arguments.rate, min(MEMORY_INTERVAL, whole))
        longest = max(longest, *probe.delays)
        sizes.append(grown.memory)
    return {
        "minutes": arguments.minutes,
        "rate": arguments.rate,
        "memory_mib": {name: [size[name] for size in sizes] for name in sizes[0]},
        "longest_delay_ms": round(1e3 * longest, 1),
    }


def tables(found: dict[str, Any]) -> list[Table]:
    """Return the tables of the report."""
    rows = [_row(int(stored), size) for stored, size in found["sizes"].items()]
    head = (
        *("stored", "start s", "start MiB", "taken/s", "p99 ms", "learned/s", "asked/s", "p99 ms"),
        *("fresh p50 ms", "fresh p99 ms", "MiB consumption", "MiB recommendation"),
    )
    grown = Table("With more and more stored watches", head, rows)
    return [grown, _soak(found["soak"])] if found["soak"] else [grown]


def _row(stored: int, size: dict[str, Any]) -> tuple[object, ...]:
    figures = size["figures"]
    taken, asked = figures["taking"][str(INGEST)], figures["asking"][str(READS)]
    learned = figures["learning"]["1"]
    fresh, used = size["freshness"], size["memory_mib"]
    return (
        *(f"{stored:,}", size["start_s"], size["start_mib"]),
        *(f"{taken['rate']:,.0f}", taken["p99_ms"]),
        *(f"{learned['rate']:,.0f}", f"{asked['rate']:,.0f}", asked["p99_ms"]),
        *(fresh["p50_ms"], fresh["p99_ms"], used["consumption"], used["recommendation"]),
    )


def _soak(soak: dict[str, Any]) -> Table:
    rows = [
        (name, sizes[0], sizes[len(sizes) // 2], sizes[-1], max(sizes))
        for name, sizes in soak["memory_mib"].items()
    ]
    title = f"Memory over {soak['minutes']:g} minutes at {soak['rate']:g} watches/s, in MiB"
    return Table(title, ("process", "at first", "half-way", "at last", "most"), rows)


def check(found: dict[str, Any]) -> None:
    """Raise `CannotStart` when something answered for is missing."""
    for stored, size in found["sizes"].items():
        if not size["verified"]["complete"]:
            raise CannotStart(f"With {stored} stored not everything is there: {size['verified']}.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the options of this benchmark."""
    add_rounds(parser, rounds=3, seconds=4)
    parser.add_argument("--stored", type=int, nargs="+", default=(0, 100_000, 1_000_000))
    parser.add_argument("--rate", type=float, default=200.0, help="of probing and of the soak")
    parser.add_argument("--minutes", type=float, default=2.0, help="of the soak; 0: none")


GROWTH: Final = Benchmark("growth", "Growth", add_arguments, measure, tables, check)

if __name__ == "__main__":
    main(GROWTH)
