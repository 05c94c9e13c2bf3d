"""Learn: how many watches a second go from a full queue to committed and acknowledged.

    python -m benchmarks.learn [--json] [--rounds 3] [--seconds 6] [--watches 30000] [--only NAME]
                               [--partitions 1 2 4]

Each round fills a quorum queue for each system, starts 1 or 2 consumer processes, and counts over
the seconds after the first one. The product then learns all the rest, and is asked for every one.

After that it does so with partitions, twice as many watches, and as many processes as partitions;
the seconds count from when the processes have shared the partitions.

    upnext               one transaction for up to 100: inbox, histories, the model and its log
    ack_only             an aio-pika consumer that only acknowledges, prefetch 300
    faststream_consumer  one transaction for each message, one row
    kombu_consumer       the same, one after the other
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.harness.command import Benchmark, Say, add_rounds, main
from benchmarks.harness.figures import Measured, Turns, ratios
from benchmarks.harness.processor import Meter
from benchmarks.harness.queue import PEERS, fill, left, waiting
from benchmarks.harness.report import Table
from benchmarks.harness.servers import Servers, Stage, stage
from benchmarks.harness.systems import Running, System, started
from benchmarks.peers.learning import metadata
from shared.broker.connect import open_broker
from shared.broker.interface import Broker
from shared.broker.topology import RECOMMENDATION, Queue, partitioned
from shared.errors import CannotStart

PROCESSES: Final = (1, 2)
PARTITIONS: Final = (1, 2, 4)
FIRST: Final = 1.0  # seconds after the first watch that are not counted, half of all at most
SHARED: Final = 4.0  # the same with partitions, which are shared by then
GLANCE: Final = 0.05  # seconds between two looks
SETTLED: Final = 1.0  # seconds for the last acknowledgements to arrive, or for what lacks them
PATIENCE: Final = 120.0  # seconds until the first watch, and until the last

SYSTEMS: Final = {
    "upnext": ("recommendation_service", ()),
    "ack_only": ("benchmarks.peers.ack_only", ()),
    "faststream_consumer": ("benchmarks.peers.faststream_consumer", ("faststream",)),
    "kombu_consumer": ("benchmarks.peers.kombu_consumer", ("kombu", "psycopg")),
}

Progress = Callable[[], Awaitable[int]]


@dataclass(frozen=True)
class ClockReading:
    """One system's turn with a full queue."""

    stage: Stage
    system: System
    queue: Queue
    watches: int
    seconds: int

    async def run(self, running: Running, broker: Broker) -> Measured:
        """Return the rate over the seconds that count."""
        progress = self._progress(broker)
        await _reached(progress, 1, PATIENCE)
        await _reached(progress, self.watches // 2, SHARED if self.queue.partitions else FIRST)
        meter, began, before = Meter(running.pids), monotonic(), await progress()
        await _reached(progress, self.watches, self.seconds)
        done, passed = await progress(), monotonic() - began
        return Measured({"rate": (done - before) / passed}, meter.read())

    def _progress(self, broker: Broker) -> Progress:
        """Return what tells how many are done."""
        if self.system.name == "ack_only":
            return lambda: self._gone(broker)
        return self.learned

    async def _gone(self, broker: Broker) -> int:
        return self.watches - await waiting(broker, self.queue)

    async def learned(self) -> int:
        """Return how many are committed."""
        connection = await asyncpg.connect(self.stage.recommendation)
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
        await asyncio.sleep(GLANCE)
    return True


def measure(servers: Servers, arguments: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Give each system its turns, and return what they came to."""
    turns, divided_turns, left_out = Turns(), Turns(), {}
    for number in range(arguments.rounds):
        for processes in PROCESSES:
            for name in arguments.only or SYSTEMS:
                system = _system(name, processes)
                if system.missing:
                    left_out[name] = system.missing
                    continue
                say(f"round {number + 1}: {name}, {processes} processes")
                _turn(servers, system, None, arguments, turns)
        for count in arguments.partitions:
            say(f"round {number + 1}: {count} partitions, as many processes")
            _turn(servers, _system("upnext", count), count, arguments, divided_turns)
    figures = turns.figures
    return {
        "figures": figures,
        **{f"ratios_{count}": ratios(figures, str(count)) for count in PROCESSES},
        "partitions": divided_turns.figures.get("upnext", {}),
        "verified": turns.verified
        | {f"{name}, partitions": one for name, one in divided_turns.verified.items()},
        "left_out": left_out,
    }


def _system(name: str, processes: int) -> System:
    module, needs = SYSTEMS[name]
    parts = {f"consumer {number + 1}": [module] for number in range(processes)}
    return System(name, parts, needs, learns=name == "upnext")


def _turn(
    servers: Servers,
    system: System,
    partitions: int | None,
    arguments: argparse.Namespace,
    turns: Turns,
) -> None:
    watches = arguments.watches
    with stage(servers) as place:
        queue = RECOMMENDATION if system.learns else PEERS
        if partitions:
            queue, watches = partitioned(queue, partitions), 2 * arguments.watches
        turn = ClockReading(place, system, queue, watches, arguments.seconds)
        asyncio.run(_prepare(turn))
        settings = {"RECOMMENDATION_PORT": "0", "PARTITIONS": str(partitions or 1)}
        with started(system, place, settings) as running:
            turns.note(system.name, len(system.parts), asyncio.run(_run(turn, running)))
        if system.learns:
            turns.check(system.name, asyncio.run(_verified(turn)))


async def _prepare(turn: ClockReading) -> None:
    """Fill the queue; a peer's table is made here, the product makes its own."""
    await fill(turn.stage.amqp, turn.queue, turn.watches)
    if not turn.system.learns:
        url = turn.stage.recommendation.replace("postgresql://", "postgresql+asyncpg://")
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await engine.dispose()


async def _run(turn: ClockReading, running: Running) -> Measured:
    async with open_broker(turn.stage.amqp) as broker:
        measured = await turn.run(running, broker)
        if turn.system.learns:
            await _reached(turn.learned, turn.watches, PATIENCE)
            await asyncio.sleep(SETTLED)
    return measured


async def _verified(turn: ClockReading) -> dict[str, Any]:
    """Count after the consumers are gone: what they had not acknowledged is in the queue again."""
    await asyncio.sleep(SETTLED)
    waits = await left(turn.stage.amqp, turn.queue)
    learned = await turn.learned()
    complete = learned == turn.watches and waits == 0
    return {"published": turn.watches, "learned": learned, "left": waits, "complete": complete}


def tables(found: dict[str, Any]) -> list[Table]:
    """Return what a person reads."""
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
