"""Benchmark command: from the arguments to the report, the same for all benchmarks."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness.machine import facts
from benchmarks.harness.report import Table, markdown, save
from benchmarks.harness.servers import Servers, servers
from shared.errors import CannotStart

Log = Callable[[str], None]
Found = dict[str, Any]


@dataclass(frozen=True)
class Benchmark:
    """One benchmark. `check` raises `CannotStart` when what was measured cannot be right."""

    name: str
    title: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    measure: Callable[[Servers, argparse.Namespace, Log], Found]
    tables: Callable[[Found], list[Table]]
    check: Callable[[Found], None] = lambda _: None


def add_rounds(parser: argparse.ArgumentParser, *, rounds: int, seconds: int) -> None:
    """Take the options that make a benchmark shorter or longer."""
    parser.add_argument("--rounds", type=int, default=rounds, help="figures are their medians")
    parser.add_argument("--seconds", type=int, default=seconds, help="of each load")


def main(benchmark: Benchmark) -> None:
    """Run one benchmark with its own servers."""
    parser = argparse.ArgumentParser(description=benchmark.title)
    parser.add_argument("--json", action="store_true", help="print one JSON object only")
    benchmark.add_arguments(parser)
    arguments = parser.parse_args()
    try:
        with servers() as running:
            found = run(benchmark, running, arguments)
            print(json.dumps(found) if arguments.json else text_of(benchmark, found))
            benchmark.check(found)
    except CannotStart as error:
        sys.exit(str(error))


def run(benchmark: Benchmark, running: Servers, arguments: argparse.Namespace) -> Found:
    """Measure, and save the report."""
    machine = asyncio.run(facts(running))
    found = {
        "benchmark": benchmark.name,
        "machine": machine,
        "options": {
            name: value for name, value in vars(arguments).items() if name not in {"json", "only"}
        },
        **benchmark.measure(running, arguments, log),
    }
    save(benchmark.name, found, text_of(benchmark, found))
    return found


def text_of(benchmark: Benchmark, found: Found) -> str:
    """Return the report as Markdown."""
    return markdown(benchmark.title, found["machine"], benchmark.tables(found))


def chosen(benchmark: Benchmark, given: Sequence[str]) -> argparse.Namespace:
    """Return the options of a benchmark: its defaults, except those given."""
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    return parser.parse_args(given)


def log(text: str) -> None:
    """Print progress to stderr, apart from the result."""
    print(text, file=sys.stderr, flush=True)
