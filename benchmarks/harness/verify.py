"""Verify: each watch answered for is stored once, and the product has learned it."""

import asyncio
from dataclasses import asdict, dataclass
from time import monotonic, sleep
from typing import Final

import asyncpg
import httpx

from benchmarks.harness.cpu import wait_until_idle
from benchmarks.harness.queue import PEERS, count_ready
from benchmarks.harness.systems import Running

LEARN_TIMEOUT: Final = 60.0  # seconds
POLL_INTERVAL: Final = 0.1  # seconds

STORED: Final = "SELECT count(*), md5(string_agg(id::text, '' ORDER BY id)) FROM watches"
LEARNED: Final = """SELECT count(*), md5(string_agg(watch_id::text, '' ORDER BY watch_id))
    FROM learned_watches WHERE NOT deleted"""
ONCE: Final = "SELECT count(DISTINCT position) FROM watches"  # each watch sent has its own


@dataclass(frozen=True, slots=True)
class Verified:
    """Counts. Requests under way at the end of a load may be rows without an answer."""

    answered: int
    rows: int
    under_way: int  # at most
    learned: int | None  # by the product
    announced: int | None  # published by a peer, and still in its queue
    complete: bool


def verified(running: Running, answered: int, under_way: int) -> dict[str, object]:
    """Count the rows once everything is learned."""
    wait_until_idle(running.pids, LEARN_TIMEOUT)
    if running.system.learns:
        wait_until_all_learned(running)
    return asdict(asyncio.run(_verified(running, answered, under_way)))


def wait_until_all_learned(running: Running) -> None:
    """Wait until every row is learned."""
    wait_until_learned(running, asyncio.run(count_stored(running)))


def wait_until_learned(running: Running, count: int, patience: float = LEARN_TIMEOUT) -> float:
    """Wait until so many watches are learned, and return how many seconds that took."""
    began = monotonic()
    while applied(running) < count and monotonic() < began + patience:
        sleep(POLL_INTERVAL)
    return monotonic() - began


def applied(running: Running) -> int:
    """Return how many watches the recommendation service has learned."""
    answer = httpx.get(f"{running.recommendation_url}/stats", timeout=LEARN_TIMEOUT)
    return int(answer.raise_for_status().json()["events"]["applied"])


async def count_stored(running: Running) -> int:
    """Return how many watches are stored."""
    return int((await _row(running.environment.consumption, "SELECT count(*) FROM watches"))[0])


async def _verified(running: Running, answered: int, under_way: int) -> Verified:
    stored, ids = await _row(running.environment.consumption, STORED)
    (once,) = await _row(running.environment.consumption, ONCE)
    complete = answered <= stored == once <= answered + under_way
    if not running.system.learns:
        announced = await count_ready(running.environment.amqp, PEERS)
        return Verified(answered, stored, under_way, None, announced, complete)
    learned, learned_ids = await _row(running.environment.recommendation, LEARNED)
    complete &= ids == learned_ids and applied(running) == stored
    return Verified(answered, stored, under_way, learned, None, complete)


async def _row(url: str, query: str) -> tuple[int, ...]:
    connection = await asyncpg.connect(url)
    try:
        return tuple(await connection.fetchrow(query))
    finally:
        await connection.close()
