"""Growth: what stays as it is when more and more watches are stored, and what does not.

    python -m benchmarks.growth [--json] [--rounds 3] [--seconds 4] [--stored 0 100000 1000000]
                                [--rate 200] [--minutes 2]

For each number of stored watches both services start on databases which hold them already. Then
they take turns: watches are taken over 64 connections; more come in batches than can be learned,
and what is left of them then is learned; recommendations are asked for over 32 connections;
freshness is probed at a fixed rate. Last, the services on the largest databases take that rate for
the minutes of a soak, while the memory of every process is noted.
"""

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from benchmarks.harness.command import Benchmark, Say, add_rounds, main
from benchmarks.harness.figures import Turns, percentile
from benchmarks.harness.peers import UPNEXT
from benchmarks.harness.processor import memory, peak_memory
from benchmarks.harness.report import Table
from benchmarks.harness.servers import Servers, stage
from benchmarks.harness.steady import Pair
from benchmarks.harness.stock import stock
from benchmarks.harness.systems import started
from benchmarks.harness.verify import verified
from benchmarks.harness.wrk import READINGS, Load, send
from shared.errors import CannotStart

TAKING: Final = 64  # connections
IN_BATCHES: Final = (8, 100)  # connections, watches in each
ASKING: Final = 32
WARM_UP: Final = (16, 1)  # connections, seconds
EACH: Final = 10  # watches of a user
FEWEST: Final = 1000  # users
PATIENCE: Final = 1200.0  # seconds for the service to fold its model
PORTION: Final = 15.0  # seconds of a soak between two looks at the memory
MINUTE: Final = 60.0


@dataclass(frozen=True)
class Grown:
    """Both services, on databases with so many watches."""

    pair: Pair
    stored: int
    start_s: float
    start_mib: float  # of the recommendation service, at most
    turns: Turns = field(default_factory=Turns)
    delays: list[float] = field(default_factory=list)  # seconds

    @property
    def memory(self) -> dict[str, float]:
        """The memory of each process, in MiB."""
        return {name: memory(pid) for name, pid in self.pair.running.pids.items()}

    def ask(self, seconds: int, seed: int) -> Any:
        """Ask for recommendations for users by chance."""
        load = Load(READINGS, ASKING, seconds, seed, _users(self.stored))
        return send(self.pair.running.recommendation_url, load, self.pair.running.pids)

    def measure(self, rate: float, seconds: int, round_number: int) -> None:
        """Have a turn."""
        turns = self.turns
        turns.note("taking", TAKING, self.pair.take(TAKING, seconds))
        turns.note("learning", 1, self.pair.work_off(*IN_BATCHES, seconds=seconds))
        turns.note("asking", ASKING, self.ask(seconds, round_number).measured)
        probe, posted = self.pair.probed(rate, seconds)
        turns.note("probing", rate, posted)
        self.delays.extend(probe.delays)

    @property
    def found(self) -> dict[str, Any]:
        """What the turns came to."""
        freshness = {
            f"p{share}_ms": round(1e3 * percentile(self.delays, share / 100), 1)
            for share in (50, 99)
        }
        return {
            "start_s": self.start_s,
            "start_mib": self.start_mib,
            "memory_mib": self.memory,
            "figures": self.turns.figures,
            "freshness": freshness,
        }

    def verified(self) -> dict[str, object]:
        """Count everything that is there."""
        pair = self.pair
        return verified(pair.running, self.stored + pair.answered, pair.unanswered)


def measure(servers: Servers, arguments: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Give each number of stored watches its turns; soak with the last."""
    with ExitStack() as stack:
        sizes: list[Grown] = []
        for stored in arguments.stored:
            say(f"{stored:,} stored watches")
            sizes.append(stack.enter_context(_grown(servers, stored)))
            sizes[-1].pair.take(*WARM_UP)
        for number in range(arguments.rounds):
            for grown in sizes if number % 2 else reversed(sizes):
                say(f"round {number + 1}: {grown.stored:,} stored watches")
                grown.measure(arguments.rate, arguments.seconds, number)
        found = {str(grown.stored): grown.found for grown in sizes}
        soaked: dict[str, Any] = {}
        if arguments.minutes:
            say(f"soaking for {arguments.minutes:g} minutes")
            soaked = _soaked(sizes[-1], arguments)
        for grown in sizes:
            found[str(grown.stored)]["verified"] = grown.verified()
    return {"sizes": found, "soak": soaked}


@contextmanager
def _grown(servers: Servers, stored: int) -> Iterator[Grown]:
    with stage(servers) as place:
        asyncio.run(stock(place, stored, _users(stored)))
        began = monotonic()
        with started(UPNEXT, place, {}) as running:
            running.wait(running.recommendation_url, PATIENCE)
            running.wait(running.url)
            took = round(monotonic() - began, 1)
            most = peak_memory(running.processes["recommendation"].pid)
            yield Grown(Pair(running), stored, took, most)


def _users(stored: int) -> int:
    return max(FEWEST, stored // EACH)


def _soaked(grown: Grown, arguments: argparse.Namespace) -> dict[str, Any]:
    """Take watches at the fixed rate, and note the memory after each portion."""
    began, sizes, longest = monotonic(), [grown.memory], 0.0
    whole = arguments.minutes * MINUTE
    while monotonic() < began + whole:
        probe, _ = grown.pair.probed(arguments.rate, min(PORTION, whole))
        longest = max(longest, *probe.delays)
        sizes.append(grown.memory)
    return {
        "minutes": arguments.minutes,
        "rate": arguments.rate,
        "memory_mib": {name: [size[name] for size in sizes] for name in sizes[0]},
        "longest_delay_ms": round(1e3 * longest, 1),
    }


def tables(found: dict[str, Any]) -> list[Table]:
    """Return what a person reads."""
    rows = [_row(int(stored), size) for stored, size in found["sizes"].items()]
    head = (
        *("stored", "start s", "start MiB", "taken/s", "p99 ms", "learned/s", "asked/s", "p99 ms"),
        *("fresh p50 ms", "fresh p99 ms", "MiB consumption", "MiB recommendation"),
    )
    grown = Table("With more and more stored watches", head, rows)
    return [grown, _soak(found["soak"])] if found["soak"] else [grown]


def _row(stored: int, size: dict[str, Any]) -> tuple[object, ...]:
    figures = size["figures"]
    taken, asked = figures["taking"][str(TAKING)], figures["asking"][str(ASKING)]
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
