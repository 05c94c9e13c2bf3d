"""Visitors: users who watch something, and have themselves erased, while parts come and go."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from shared.broker.connect import open_broker
from shared.broker.topology import (
    CONSUMPTION_ERASURE,
    CONSUMPTION_ERASURE_PARKED,
    RECOMMENDATION_WATCH,
)
from shared.process.background import running
from tests.faults.load import PATIENCE, TIMEOUT
from tests.faults.oracle import SETTLING_TIMEOUT, check_model
from tests.faults.stored import inbox_of, outbox_size, tables_about, unfinished_erasures, watches_in
from tests.faults.system import System, in_thread
from tests.support.eventually import eventually
from tests.support.http_client import open_client

STAYS: Final = 7  # the user who is never erased
FIRST: Final = 1000  # visitor
PACE: Final = 0.5  # seconds between two visitors; each keeps a service busy that was away
LESSONS: Final = (100, 101, 102)
QUEUES: Final = (RECOMMENDATION_WATCH, CONSUMPTION_ERASURE, CONSUMPTION_ERASURE_PARKED)


class Visitors:
    """They insist, as clients do, until they have an answer."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.receipts: dict[int, str] = {}  # by user: erased, as far as the clients know

    async def run(self) -> None:
        """Let one come after the other, for ever."""
        for user_id in itertools.count(FIRST):
            await self.watch(user_id)
            await self.erase(user_id)
            await asyncio.sleep(PACE)

    async def watch(self, user_id: int) -> None:
        """Record watches of the user."""
        for lesson_id in LESSONS:
            watch = {"user_id": user_id, "lesson_id": lesson_id, "position": 314}
            await self._insist("POST", "/watches", json=watch)

    async def erase(self, user_id: int) -> str:
        """Erase the user, and return the receipt's id."""
        receipt = await self._insist("DELETE", f"/users/{user_id}")
        self.receipts[user_id] = receipt["id"]
        return self.receipts[user_id]

    async def receipt(self, erasure_id: str) -> Any:
        """Return the receipt as it is."""
        return await self._insist("GET", f"/erasures/{erasure_id}")

    async def more(self, count: int) -> None:
        """Wait until so many more visitors than now are gone."""
        goal = len(self.receipts) + count
        await eventually(lambda: len(self.receipts) >= goal, PATIENCE)

    async def _insist(self, method: str, path: str, **content: Any) -> Any:
        async def ask() -> httpx.Response | None:
            try:
                answer = await self._client.request(method, path, **content)
            except httpx.TransportError:
                return None
            return answer if answer.is_success else None

        answer = await eventually(ask)
        assert answer
        return answer.json()


@asynccontextmanager
async def nobody_yet(system: System) -> AsyncIterator[Visitors]:
    """Have somebody there who stays; when the block ends, check that nothing of others is left."""
    async with open_client(system.consumption.url, timeout=TIMEOUT) as client:
        visitors = Visitors(client)
        await visitors.watch(STAYS)
        yield visitors
        await _check(system, visitors)


@asynccontextmanager
async def coming_and_going(system: System) -> AsyncIterator[Visitors]:
    """Let visitors come and go while the block lasts; then check the same."""
    async with nobody_yet(system) as visitors:
        async with running(visitors.run(), "visitors"):
            await visitors.more(3)
            yield visitors
            await visitors.more(3)
        # The one who was in the midst of it goes, too.
        await visitors.erase(max(visitors.receipts) + 1)


async def _check(system: System, visitors: Visitors) -> None:
    """Every receipt is complete, of those who went nothing is left, and whoever stays stays."""
    places = system.places
    await eventually(lambda: _is_settled(system), SETTLING_TIMEOUT)
    for erasure_id in visitors.receipts.values():
        assert (await visitors.receipt(erasure_id))["done"]
    for database in (places.consumption_database, places.recommendation_database):
        assert await tables_about(database, list(visitors.receipts)) == set()
    assert len(await watches_in(places.consumption_database)) == len(LESSONS)
    stats = await system.stats()
    assert stats["events"]["parked"] == 0
    assert stats["model"]["lessons"] == len(LESSONS)
    await check_model(system)
    await _check_queues(system)


async def _is_settled(system: System) -> bool:
    places = system.places
    if await outbox_size(places.consumption_database):
        return False
    if await unfinished_erasures(places.consumption_database):
        return False
    recorded = await watches_in(places.consumption_database)
    return recorded <= await inbox_of(places.recommendation_database)


async def _check_queues(system: System) -> None:
    """Nothing comes again: all was acknowledged, and nothing given up."""
    for service in (system.consumption, system.recommendation):
        service.ask_to_stop()
        await in_thread(lambda service=service: service.wait(60.0))
    async with open_broker(system.places.amqp) as broker:
        assert [(await broker.depth(queue)).ready for queue in QUEUES] == [0, 0, 0]
