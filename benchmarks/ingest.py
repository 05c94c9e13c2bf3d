"""Ingest: the rate and latency of POST /watches.

    python -m benchmarks.ingest [--json] [--rounds 3] [--seconds 4] [--connections 64] [--only NAME]

Each round runs every system, in a different order, on empty databases and queues: its processes are
started, warmed up and loaded by wrk with 1, 8, 64 and 256 connections; then every watch they
answered for is verified. Figures are medians of the rounds. The product is also loaded with batches
of 100, to `POST /watches/batch`.

    upnext            a durable row, an event confirmed by a quorum queue, learned at the same time
    validate_only     the same application, models and middleware; nothing is stored or published
    usual_handler     FastAPI: one async session of SQLAlchemy's ORM, one commit, one confirmed and
                      persistent publish with aio-pika for each request
    faststream        the same with FastStream's broker
    original_pattern  Django REST Framework, post_save, a Celery task which publishes with Kombu

With --only, also the product without its fast path, on uvicorn's public interfaces alone:

    asgi_function     the same handlers, called by a pure ASGI function before the application
    application       every request goes through the application
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.harness import peers
from benchmarks.harness.command import Benchmark, Log, add_rounds, main
from benchmarks.harness.cpu import wait_until_idle
from benchmarks.harness.report import Table
from benchmarks.harness.results import Results, ratios
from benchmarks.harness.servers import Servers, fresh_environment
from benchmarks.harness.systems import Running, System, started
from benchmarks.harness.verify import verified
from benchmarks.harness.wrk import BATCH_SCRIPT, WATCH_SCRIPT, Load, LoadResult, run_load
from shared.errors import CannotStart

SYSTEMS: Final = (
    peers.UPNEXT,
    peers.VALIDATE_ONLY,
    peers.USUAL_HANDLER,
    peers.FASTSTREAM,
    peers.ORIGINAL_PATTERN,
)
WITHOUT_FAST_PATH: Final = (peers.ASGI_FUNCTION, peers.APPLICATION)  # where they are asked for
CONNECTIONS: Final = (1, 8, 64, 256)
WARM_UP: Final = (16, 1)  # connections, seconds
BATCH: Final = 100  # watches in a request
BATCH_CONNECTIONS: Final = 8
BLOCK: Final = 10_000_000  # watches of one load at most, each with a number of its own
IDLE_TIMEOUT: Final = 15.0  # seconds between two loads, for the backlog


@dataclass
class LoadedSystem:
    """A system under load, and the watches it must have stored."""

    running: Running
    loads: int = 0
    answered: int = 0
    under_way: int = 0

    def send(self, connections: int, seconds: int) -> LoadResult:
        """Load the system with watches."""
        return self._send("/watches", Load(WATCH_SCRIPT, connections, seconds, self._first()))

    def send_batches(self, seconds: int) -> LoadResult:
        """Load the system with batches of watches."""
        load = Load(BATCH_SCRIPT, BATCH_CONNECTIONS, seconds, self._first(), each=BATCH)
        return self._send("/watches/batch", load)

    def _first(self) -> int:
        self.loads += 1
        return self.loads * BLOCK

    def _send(self, path: str, load: Load) -> LoadResult:
        """Load the system, then wait until its backlog is gone."""
        sent = run_load(f"{self.running.url}{path}", load, self.running.pids)
        self.answered += sent.answered
        self.under_way += (load.connections + sent.lost) * load.each
        wait_until_idle(self.running.pids, IDLE_TIMEOUT)
        return sent


def measure(servers: Servers, arguments: argparse.Namespace, log: Log) -> dict[str, Any]:
    """Run each system in each round, and return the results."""
    named = [one for one in (*SYSTEMS, *WITHOUT_FAST_PATH) if one.name in (arguments.only or ())]
    chosen = named or SYSTEMS
    able = [system for system in chosen if not system.missing]
    results = Results()
    for number in range(arguments.rounds):
        for system in able[number % len(able) :] + able[: number % len(able)]:
            log(f"round {number + 1}: {system.name}")
            _run(servers, system, arguments, results)
    figures = results.figures
    batches = {name: levels.pop("batch") for name, levels in figures.items() if "batch" in levels}
    return {
        "connections": list(arguments.connections),
        "figures": figures,
        "batch": {"watches": BATCH, "connections": BATCH_CONNECTIONS, "figures": batches},
        **{f"ratios_{level}": ratios(figures, str(level)) for level in arguments.connections},
        "verified": results.verified,
        "left_out": {system.name: system.missing for system in chosen if system.missing},
    }


def _run(servers: Servers, system: System, arguments: argparse.Namespace, results: Results) -> None:
    with fresh_environment(servers) as environment, started(system, environment, {}) as running:
        running.wait(running.url)
        if system.learns:
            running.wait(running.recommendation_url)
        loaded = LoadedSystem(running)
        loaded.send(*WARM_UP)
        for level in arguments.connections:
            results.add(system.name, level, loaded.send(level, arguments.seconds).measured)
        if system.batches:
            results.add(system.name, "batch", loaded.send_batches(arguments.seconds).measured)
        if system.stores:
            results.add_check(system.name, verified(running, loaded.answered, loaded.under_way))


def tables(found: dict[str, Any]) -> list[Table]:
    """Return the tables of the report."""
    levels = [str(level) for level in found["connections"]]
    return [
        *(_figures(found, level) for level in levels),
        _batches(found["batch"]),
        _verified(found["verified"]),
    ]


def _figures(found: dict[str, Any], level: str) -> Table:
    compared = found[f"ratios_{level}"]
    rows: list[Sequence[object]] = []
    for name, levels in found["figures"].items():
        one = levels[level]
        spread = f"{min(one['rates']):,.0f} to {max(one['rates']):,.0f}"
        ratio = f"{compared[name]:.2f}" if name in compared else ""
        rows.append(
            (name, f"{one['rate']:,.0f}", spread, ratio, one["p50_ms"], one["p99_ms"], one["limit"])
        )
    head = ("system", "watches/s", "rounds", "upnext is", "p50 ms", "p99 ms", "limited by (cores)")
    return Table(f"{level} connections", head, rows)


def _batches(found: dict[str, Any]) -> Table:
    rows = [
        (name, f"{one['rate']:,.0f}", one["p50_ms"], one["p99_ms"], one["limit"])
        for name, one in found["figures"].items()
    ]
    title = f"Batches of {found['watches']} over {found['connections']} connections"
    head = ("system", "watches/s", "p50 ms", "p99 ms", "limited by (cores)")
    return Table(title, head, rows)


def _verified(found: dict[str, dict[str, Any]]) -> Table:
    rows = [
        (name, one["answered"], one["rows"], one["learned"], one["announced"], one["complete"])
        for name, one in found.items()
    ]
    head = ("system", "answered", "rows", "learned", "in the queue", "every answered one, once")
    return Table("Verified afterwards", head, rows)


def check(found: dict[str, Any]) -> None:
    """Raise `CannotStart` when something answered for is missing."""
    wrong = [name for name, one in found["verified"].items() if not one["complete"]]
    if wrong:
        raise CannotStart(f"Not everything answered for is there: {', '.join(wrong)}.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the options of this benchmark."""
    add_rounds(parser, rounds=3, seconds=4)
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS)
    names = [system.name for system in (*SYSTEMS, *WITHOUT_FAST_PATH)]
    parser.add_argument("--only", metavar="NAME", action="append", choices=names)


INGEST: Final = Benchmark(
    "ingest", "Taking watches: POST /watches", add_arguments, measure, tables, check
)

if __name__ == "__main__":
    main(INGEST)
