"""Serve: the rate and latency of GET /users/{id}/recommendations.

    python -m benchmarks.serve [--json] [--rounds 3] [--seconds 3] [--users 10000 1000000]
                               [--each 4] [--connections 1 32]

For each number of users the database is prefilled, and the recommendation service starts. It is
asked for 10 lessons for random users, in alternation with a route of the same application which
only validates and answers the same lessons to everybody.
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from benchmarks.harness.command import Benchmark, Log, add_rounds, main
from benchmarks.harness.cpu import memory
from benchmarks.harness.peers import VALIDATE_ONLY
from benchmarks.harness.prefill import prefill_interactions
from benchmarks.harness.report import Table
from benchmarks.harness.results import Results, ratios
from benchmarks.harness.servers import Servers, fresh_environment
from benchmarks.harness.systems import System, started
from benchmarks.harness.wrk import READ_SCRIPT, Load, LoadResult, run_load
from shared.errors import CannotStart

START_TIMEOUT: Final = 600.0  # seconds for the service to fold its model
WARM_UP: Final = (8, 1)  # connections, seconds
RECOMMENDATION_WATCH: Final = System("upnext", {"recommendation": ["recommendation_service"]})


@dataclass(frozen=True)
class ReadTarget:
    """A service under load, and its processes."""

    name: str
    url: str
    parts: Mapping[str, int]
    users: int

    def send(self, connections: int, seconds: int, seed: int) -> LoadResult:
        """Ask for random users."""
        load = Load(READ_SCRIPT, connections, seconds, seed, self.users)
        return run_load(self.url, load, self.parts)


def measure(servers: Servers, arguments: argparse.Namespace, log: Log) -> dict[str, Any]:
    """Measure for each number of users."""
    sizes = {}
    for users in arguments.users:
        log(f"{users:,} users: writing {users * arguments.each:,} watches")
        sizes[str(users)] = _measured(servers, users, arguments, log)
    return {"connections": list(arguments.connections), "sizes": sizes}


def _measured(
    servers: Servers, users: int, arguments: argparse.Namespace, log: Log
) -> dict[str, Any]:
    with fresh_environment(servers) as environment:
        asyncio.run(prefill_interactions(environment, users * arguments.each, users))
        began = monotonic()
        with (
            started(RECOMMENDATION_WATCH, environment, {}) as product,
            started(VALIDATE_ONLY, environment, {}) as bare,
        ):
            product.wait(product.recommendation_url, START_TIMEOUT)
            bare.wait(bare.url)
            found = {"start_s": round(monotonic() - began, 1)}
            log(f"{users:,} users: started in {found['start_s']} s")
            asked = [
                ReadTarget("upnext", product.recommendation_url, product.pids, users),
                ReadTarget("validate_only", bare.url, bare.pids, users),
            ]
            found |= _rounds(asked, arguments)
            found["memory_mib"] = memory(product.processes["recommendation"].pid)
    return found


def _rounds(asked: Sequence[ReadTarget], arguments: argparse.Namespace) -> dict[str, Any]:
    """Load the targets in alternation, and return the medians."""
    results = Results()
    for one in asked:
        one.send(*WARM_UP, 0)
    for number in range(arguments.rounds):
        for level in arguments.connections:
            for one in asked:
                sent = one.send(level, arguments.seconds, number + 1)
                results.add(one.name, level, sent.measured)
    figures = results.figures
    compared = {f"ratios_{level}": ratios(figures, str(level)) for level in arguments.connections}
    return {"figures": figures, **compared}


def tables(found: dict[str, Any]) -> list[Table]:
    """Return the tables of the report."""
    sizes = found["sizes"].items()
    starts = [(f"{int(users):,}", one["start_s"], one["memory_mib"]) for users, one in sizes]
    return [
        *(_figures(found, str(level)) for level in found["connections"]),
        Table("The recommendation service", ("users", "start s", "memory MiB"), starts),
    ]


def _figures(found: dict[str, Any], level: str) -> Table:
    rows = [
        (f"{int(users):,}", name, *_row(size, name, level))
        for users, size in found["sizes"].items()
        for name in size["figures"]
    ]
    head = ("users", "system", "answers/s", "upnext is", "p50 ms", "p99 ms", "limited by (cores)")
    return Table(f"Connections: {level}", head, rows)


def _row(size: dict[str, Any], name: str, level: str) -> tuple[object, ...]:
    one, compared = size["figures"][name][level], size[f"ratios_{level}"]
    ratio = f"{compared[name]:.2f}" if name in compared else ""
    return (f"{one['rate']:,.0f}", ratio, one["p50_ms"], one["p99_ms"], one["limit"])


def check(found: dict[str, Any]) -> None:
    """Raise `CannotStart` when a question was not answered with 200."""
    for size in found["sizes"].values():
        for name, levels in size["figures"].items():
            if any(one["refused"] for one in levels.values()):
                raise CannotStart(f"{name} did not answer everything: {levels}.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the options of this benchmark."""
    add_rounds(parser, rounds=3, seconds=3)
    parser.add_argument("--connections", type=int, nargs="+", default=(1, 32))
    parser.add_argument("--users", type=int, nargs="+", default=(10_000, 1_000_000))
    parser.add_argument("--each", type=int, default=4, help="watches of each user")


SERVE: Final = Benchmark("serve", "Recommending", add_arguments, measure, tables, check)

if __name__ == "__main__":
    main(SERVE)
