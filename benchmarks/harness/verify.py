"""Verify: whatever a system answered for is stored, once; and the product has learned it."""

import asyncio
from dataclasses import asdict, dataclass
from time import monotonic, sleep
from typing import Final

import asyncpg
import httpx

from benchmarks.harness.processor import quiet
from benchmarks.harness.queue import PEERS, left
from benchmarks.harness.systems import Running

PATIENCE: Final = 60.0  # seconds that may pass until everything is learned
GLANCE: Final = 0.1  # seconds between two looks

STORED: Final = "SELECT count(*), md5(string_agg(id::text, '' ORDER BY id)) FROM watches"
LEARNED: Final = """SELECT count(*), md5(string_agg(watch_id::text, '' ORDER BY watch_id))
    FROM learned_watches WHERE NOT deleted"""
ONCE: Final = "SELECT count(DISTINCT position) FROM watches"  # each watch sent has its own


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found. Requests under way at the end of a load are rows without an answer."""

    answered: int
    rows: int
    under_way: int  # at most
    learned: int | None  # by the product
    announced: int | None  # by a peer, in whose queue it waits
    complete: bool


def verified(running: Running, answered: int, under_way: int) -> dict[str, object]:
    """Count what is there, after everything was learned."""
    quiet(running.pids, PATIENCE)
    if running.system.learns:
        settle(running)
    return asdict(asyncio.run(_verified(running, answered, under_way)))


def settle(running: Running) -> None:
    """Wait until every row is learned."""
    learning(running, asyncio.run(rows(running)))


def learning(running: Running, count: int, patience: float = PATIENCE) -> float:
    """Wait until so many watches are learned, and return how many seconds that took."""
    began = monotonic()
    while applied(running) < count and monotonic() < began + patience:
        sleep(GLANCE)
    return monotonic() - began


def applied(running: Running) -> int:
    """Return how many watches the recommendation service has learned."""
    answer = httpx.get(f"{running.recommendation_url}/stats", timeout=PATIENCE)
    return int(answer.raise_for_status().json()["events"]["applied"])


async def rows(running: Running) -> int:
    """Return how many watches are stored."""
    return int((await _row(running.stage.consumption, "SELECT count(*) FROM watches"))[0])


async def _verified(running: Running, answered: int, under_way: int) -> Verified:
    stored, ids = await _row(running.stage.consumption, STORED)
    (once,) = await _row(running.stage.consumption, ONCE)
    complete = answered <= stored == once <= answered + under_way
    if not running.system.learns:
        announced = await left(running.stage.amqp, PEERS)
        return Verified(answered, stored, under_way, None, announced, complete)
    learned, learned_ids = await _row(running.stage.recommendation, LEARNED)
    complete &= ids == learned_ids and applied(running) == stored
    return Verified(answered, stored, under_way, learned, None, complete)


async def _row(url: str, query: str) -> tuple[int, ...]:
    connection = await asyncpg.connect(url)
    try:
        return tuple(await connection.fetchrow(query))
    finally:
        await connection.close()
