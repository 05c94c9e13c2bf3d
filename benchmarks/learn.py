"""Learn: the rate at which a full queue is committed and acknowledged.

    python -m benchmarks.learn [--json] [--rounds 3] [--seconds 6] [--watches 30000] [--only NAME]
                               [--partitions 1 2 4]

Each round fills a quorum queue for each system, starts 1 or 2 consumer processes, and counts over
the seconds after the first one. The product then learns the rest, and every watch is verified.

Then the product runs with partitions, twice as many watches, and as many processes as partitions;
the seconds count from when the processes have shared the partitions.

    upnext               one transaction for up to 100: inbox, histories, the model and its log
    ack_only             an aio-pika consumer that only acknowledges, prefetch 300
    faststream_consumer  one transaction for each message, one row
    kombu_consumer       the same, one message after the other
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.harness.command import Benchmark, Log, add_rounds, main
from benchmarks.harness.cpu import CpuMeter
from benchmarks.harness.queue import PEERS, count_ready, fill, ready_messages
from benchmarks.harness.report import Table
from benchmarks.harness.results import Measurement, Results, ratios
from benchmarks.harness.servers import Environment, Servers, fresh_environment
from benchmarks.harness.systems import Running, System, started
from benchmarks.peers.learning import metadata
from shared.broker.connect import open_broker
from shared.broker.interface import Broker
from shared.broker.topology import RECOMMENDATION_WATCH, Queue, partitioned
from shared.errors import CannotStart

PROCESSES: Final = (1, 2)
PARTITIONS: Final = (1, 2, 4)
WARM_UP: Final = 1.0  # seconds after the first watch that are not counted, half of all at most
REBALANCE: Final = 4.0  # the same with partitions, until they are shared
POLL_INTERVAL: Final = 0.05  # seconds
ACK_DELAY: Final = 1.0  # seconds for the last acknowledgements, or for redelivery without them
LEARN_TIMEOUT: Final = 120.0  # seconds until the first watch, and until the last

SYSTEMS: Final = {
    "upnext": ("recommendation_service", ()),
    "ack_only": ("benchmarks.peers.ack_only", ()),
    "faststream_consumer": ("benchmarks.peers.faststream_consumer", ("faststream",)),
    "kombu_consumer": ("benchmarks.peers.kombu_consumer", ("kombu", "psycopg")),
}

Progress = Callable[[], Awaitable[int]]


@dataclass(frozen=True)
class QueueDrain:
    """One system that drains a full queue."""

    environment: Environment
    system: System
    queue: Queue
    watches: int
    seconds: int

    async def run(self, running: Running, broker: Broker) -> Measurement:
        """Return the rate over the seconds that count."""
        progress = self._progress(broker)
        await _reached(progress, 1, LEARN_TIMEOUT)
        await _reached(progress, self.watches // 2, REBALANCE if self.queue.partitions else WARM_UP)
        meter, began, before = CpuMeter(running.pids), monotonic(), await progress()
        await _reached(progress, self.watches, self.seconds)
        done, passed = await progress(), monotonic() - began
        return Measurement({"rate": (done - before) / passed}, meter.read())

    def _progress(self, broker: Broker) -> Progress:
        """Return a function that counts the watches done."""
        if self.system.name == "ack_only":
            return lambda: self._gone(broker)
        return self.learned

    async def _gone(self, broker: Broker) -> int:
        return self.watches - await ready_messages(broker, self.queue)

    async def learned(self) -> int:
        """Return how many are committed."""
        connection = await asyncpg.connect(self.environment.recommendation)
        try:
            return int(await connection.fetchval(self._count) or 0)
        except asyncpg.UndefinedTableError:  # it has not started yet
            return 0
        finally:
            await connection.close()

    @property
    def _count(self) -> str:
        if self.system.learns:
            return "SELECT applied FROM model_state"
        return "SELECT count(*) FROM learned"


async def _reached(progress: Progress, goal: int, patience: float) -> bool:
    deadline = monotonic() + patience
    while await progress() < goal:
        if monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_INTERVAL)
    return True


def measure(servers: Servers, arguments: argparse.Namespace, log: Log) -> dict[str, Any]:
    """Run each system in each round, and return the results."""
    results, by_partitions, left_out = Results(), Results(), {}
    for number in range(arguments.rounds):
        for processes in PROCESSES:
            for name in arguments.only or SYSTEMS:
                system = _system(name, processes)
                if system.missing:
                    left_out[name] = system.missing
                    continue
                log(f"round {number + 1}: {name}, {processes} processes")
                _run_system(servers, system, None, arguments, results)
        for count in arguments.partitions:
            log(f"round {number + 1}: {count} partitions, as many processes")
            _run_system(servers, _system("upnext", count), count, arguments, by_partitions)
    figures = results.figures
    return {
        "figures": figures,
        **{f"ratios_{count}": ratios(figures, str(count)) for count in PROCESSES},
        "partitions": by_partitions.figures.get("upnext", {}),
        "verified": results.verified
        | {f"{name}, partitions": one for name, one in by_partitions.verified.items()},
        "left_out": left_out,
    }


def _system(name: str, processes: int) -> System:
    module, needs = SYSTEMS[name]
    parts = {f"consumer {number + 1}": [module] for number in range(processes)}
    return System(name, parts, needs, learns=name == "upnext")


def _run_system(
    servers: Servers,
    system: System,
    partitions: int | None,
    arguments: argparse.Namespace,
    results: Results,
) -> None:
    watches = arguments.watches
    with fresh_environment(servers) as environment:
        queue = RECOMMENDATION_WATCH if system.learns else PEERS
        if partitions:
            queue, watches = partitioned(queue, partitions), 2 * arguments.watches
        drain = QueueDrain(environment, system, queue, watches, arguments.seconds)
        asyncio.run(_prepare(drain))
        settings = {"RECOMMENDATION_PORT": "0", "PARTITIONS": str(partitions or 1)}
        with started(system, environment, settings) as running:
            results.add(system.name, len(system.parts), asyncio.run(_run(drain, running)))
        if system.learns:
            results.add_check(system.name, asyncio.run(_verified(drain)))


async def _prepare(drain: QueueDrain) -> None:
    """Fill the queue, and create a peer's table; the product creates its own."""
    await fill(drain.environment.amqp, drain.queue, drain.watches)
    if not drain.system.learns:
        url = drain.environment.recommendation.replace("postgresql://", "postgresql+asyncpg://")
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await engine.dispose()


async def _run(drain: QueueDrain, running: Running) -> Measurement:
    async with open_broker(drain.environment.amqp) as broker:
        measured = await drain.run(running, broker)
        if drain.system.learns:
            await _reached(drain.learned, drain.watches, LEARN_TIMEOUT)
            await asyncio.sleep(ACK_DELAY)
    return measured


async def _verified(drain: QueueDrain) -> dict[str, Any]:
    """Count after the consumers are gone: unacknowledged messages are in the queue again."""
    await asyncio.sleep(ACK_DELAY)
    waits = await count_ready(drain.environment.amqp, drain.queue)
    learned = await drain.learned()
    complete = learned == drain.watches and waits == 0
    return {"published": drain.watches, "learned": learned, "left": waits, "complete": complete}


def tables(found: dict[str, Any]) -> list[Table]:
    """Return the tables of the report."""
    levels = [_figures(found, str(count)) for count in PROCESSES]
    if found["partitions"]:
        levels.append(_partitions(found["partitions"]))
    rows = [
        (name, one["published"], one["learned"], one["left"], one["complete"])
        for name, one in found["verified"].items()
    ]
    head = ("system", "published", "learned", "left in the queue", "every one, once")
    return [*levels, Table("Verified afterwards", head, rows)]


def _figures(found: dict[str, Any], level: str) -> Table:
    compared = found[f"ratios_{level}"]
    rows: list[Sequence[object]] = []
    for name, levels in found["figures"].items():
        one = levels[level]
        ratio = f"{compared[name]:.2f}" if name in compared else ""
        spread = f"{min(one['rates']):,.0f} to {max(one['rates']):,.0f}"
        rows.append((name, f"{one['rate']:,.0f}", spread, ratio, one["limit"]))
    head = ("system", "watches/s", "rounds", "upnext is", "limited by (cores)")
    return Table(f"Consumer processes: {level}", head, rows)


def _partitions(found: dict[str, Any]) -> Table:
    base = next(iter(found.values()))["rate"]
    rows = [
        (count, f"{one['rate']:,.0f}", f"{one['rate'] / base:.2f}", one["limit"])
        for count, one in found.items()
    ]
    head = ("partitions", "watches/s", "times the first", "limited by (cores)")
    return Table("As many partitions as consumer processes", head, rows)


def check(found: dict[str, Any]) -> None:
    """Raise `CannotStart` when something published was not learned, or not acknowledged."""
    if not all(one["complete"] for one in found["verified"].values()):
        raise CannotStart(f"Not everything was learned and acknowledged: {found['verified']}.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the options of this benchmark."""
    add_rounds(parser, rounds=3, seconds=6)
    parser.add_argument("--watches", type=int, default=30_000, help="how full the queue is")
    parser.add_argument("--partitions", type=int, nargs="*", default=PARTITIONS)
    parser.add_argument("--only", metavar="NAME", action="append", choices=list(SYSTEMS))


LEARN: Final = Benchmark(
    "learn", "Learning watches from a full queue", add_arguments, measure, tables, check
)

if __name__ == "__main__":
    main(LEARN)
