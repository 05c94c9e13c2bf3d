"""Freshness: the delay between a watch's 201 and recommendations that include it, under load.

    python -m benchmarks.freshness [--json] [--rounds 3] [--seconds 10] [--rate 900]

First the highest sustained rate is searched: watches are posted in an open loop, and all must be
answered and learned as they arrive. Then watches are posted at a tenth, half and nine tenths of
that rate, while a probe posts its own and measures when recommendations include them.
"""

import argparse
from typing import Any, Final

from benchmarks.harness.command import Benchmark, Log, add_rounds, main
from benchmarks.harness.peers import UPNEXT
from benchmarks.harness.report import Table
from benchmarks.harness.results import Results, percentile
from benchmarks.harness.servers import Servers, fresh_environment
from benchmarks.harness.sustained_rate import LoadedServices, highest_sustained
from benchmarks.harness.systems import started
from benchmarks.harness.verify import verified
from shared.errors import CannotStart

SHARES: Final = (0.1, 0.5, 0.9)
CLOSED: Final = (64, 3)  # connections, seconds


def measure(servers: Servers, arguments: argparse.Namespace, log: Log) -> dict[str, Any]:
    """Find the highest sustained rate, then probe at shares of it."""
    results = Results()
    delays: dict[str, list[float]] = {str(share): [] for share in SHARES}
    with fresh_environment(servers) as environment, started(UPNEXT, environment, {}) as running:
        running.wait(running.url)
        running.wait(running.recommendation_url)
        services = LoadedServices(running)
        # The rate of a closed loop is the upper bound. It also warms up, with lessons to recommend.
        top = services.ingest(*CLOSED).figures["rate"]
        rate = arguments.rate or highest_sustained(services, top, log)
        early = 0
        for number in range(arguments.rounds):
            for share in SHARES:
                log(f"round {number + 1}: {share * rate:.0f} watches/s")
                probe, measured = services.probe_freshness(share * rate, arguments.seconds)
                delays[str(share)] += probe.delays
                early += probe.too_early
                results.add("upnext", share, measured)
        results.add_check("upnext", verified(running, services.answered, services.unanswered))
    return {
        "highest_sustained_rate": round(rate, 1),
        "figures": results.figures,
        "freshness": {share: _summary(found) for share, found in delays.items()},
        "said_too_early": early,
        "verified": results.verified,
    }


def _summary(delays: list[float]) -> dict[str, float]:
    """Return the percentiles of all rounds together: one alone has too few for a p99."""
    return {
        "probes": len(delays),
        "p50_ms": round(1e3 * percentile(delays, 0.5), 1),
        "p99_ms": round(1e3 * percentile(delays, 0.99), 1),
        "max_ms": round(1e3 * max(delays), 1),
    }


def tables(found: dict[str, Any]) -> list[Table]:
    """Return the tables of the report."""
    highest = f"{found['highest_sustained_rate']:,.0f}"
    rows = [_row(share, one, found) for share, one in found["freshness"].items()]
    early = f"answers that were to know a watch and did not: {found['said_too_early']}"
    head = (
        *("share", "watches/s", "p50 ms", "p99 ms", "longest ms", "probes"),
        *("POST p50 ms", "POST p99 ms", "limited by (cores)"),
    )
    title = f"From the 201 to an answer that knows it (sustained: {highest}/s; {early})"
    return [Table(title, head, rows)]


def _row(share: str, one: dict[str, Any], found: dict[str, Any]) -> tuple[object, ...]:
    load = found["figures"]["upnext"][share]
    return (
        *(share, f"{load['rate']:,.0f}", one["p50_ms"], one["p99_ms"], one["max_ms"]),
        *(one["probes"], load["p50_ms"], load["p99_ms"], load["limit"]),
    )


def check(found: dict[str, Any]) -> None:
    """Raise `CannotStart` when a watch that was answered for is missing."""
    if not found["verified"]["upnext"]["complete"]:
        raise CannotStart(f"Not everything answered for is there: {found['verified']}.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the options of this benchmark."""
    add_rounds(parser, rounds=3, seconds=10)
    parser.add_argument("--rate", type=float, help="the highest sustained rate, if it is known")


FRESHNESS: Final = Benchmark(
    "freshness", "Freshness under load", add_arguments, measure, tables, check
)

if __name__ == "__main__":
    main(FRESHNESS)
