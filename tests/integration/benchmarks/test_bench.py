"""The benchmarks of the product as it runs, each for a second or two: figures are not the point."""

from collections.abc import Generator
from typing import Any

import pytest

from benchmarks.freshness import FRESHNESS
from benchmarks.growth import GROWTH
from benchmarks.harness.command import Benchmark, chosen, text_of
from benchmarks.harness.servers import Servers, servers
from benchmarks.learn import LEARN
from benchmarks.serve import SERVE

pytestmark = pytest.mark.usefixtures("wrk")

MACHINE = {
    "cores": 1,
    "processor": "any",
    "memory_gib": 1,
    "system": "any",
    "load_average": [0, 0, 0],
    "flush_ms": 1,
    "versions": {},
}


@pytest.fixture(scope="module")
def running() -> Generator[Servers]:
    with servers() as running:
        yield running


def found_by(benchmark: Benchmark, running: Servers, *options: str) -> dict[str, Any]:
    short = ["--rounds", "1", "--seconds", "1", *options]
    found = benchmark.measure(running, chosen(benchmark, short), lambda _: None)
    benchmark.check(found)
    assert "### " in text_of(benchmark, found | {"machine": MACHINE})
    return found


def test_what_is_learned_is_measured_and_counted(running: Servers) -> None:
    options = ("--watches", "2000", "--partitions", "2", "--only", "upnext", "--only", "ack_only")

    found = found_by(LEARN, running, *options)

    assert set(found["figures"]) == {"upnext", "ack_only"}
    assert set(found["figures"]["upnext"]) == {"1", "2"}
    assert set(found["partitions"]) == {"2"}
    verified = {"published": 4000, "learned": 4000, "left": 0, "complete": True}
    assert found["verified"] == {"upnext": verified, "upnext, partitions": verified}


def test_what_was_watched_is_seen_to_be_known(running: Servers) -> None:
    found = found_by(FRESHNESS, running, "--rate", "40")

    assert set(found["freshness"]) == {"0.1", "0.5", "0.9"}
    assert all(one["probes"] > 0 for one in found["freshness"].values())
    assert all(one["p99_ms"] >= one["p50_ms"] > 0 for one in found["freshness"].values())
    assert found["verified"]["upnext"]["complete"] is True


def test_answers_are_counted_for_each_number_of_users(running: Servers) -> None:
    found = found_by(SERVE, running, "--connections", "8", "--users", "50", "500")

    assert set(found["sizes"]) == {"50", "500"}
    for size in found["sizes"].values():
        assert set(size["figures"]) == {"upnext", "validate_only"}
        assert all(levels["8"]["rate"] > 0 for levels in size["figures"].values())
        assert size["ratios_8"]["validate_only"] > 0
        assert size["memory_mib"] > 0


def test_each_size_is_measured_and_the_memory_is_noted(running: Servers) -> None:
    found = found_by(GROWTH, running, "--rate", "20", "--stored", "0", "500", "--minutes", "0.03")

    assert set(found["sizes"]) == {"0", "500"}
    for stored, size in found["sizes"].items():
        assert set(size["figures"]) == {"taking", "learning", "asking", "probing"}
        assert size["start_mib"] > 0
        assert size["verified"]["complete"] is True
        assert size["verified"]["learned"] >= int(stored)
    memory = found["soak"]["memory_mib"]
    assert set(memory) == {"consumption", "recommendation", "postgresql", "rabbitmq"}
    assert all(min(sizes) > 0 for sizes in memory.values())
