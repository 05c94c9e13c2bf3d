"""Load: clients that record unique watches without a pause, and remember every answer.

Each watch is one user and one lesson that no other watch has, so what was learned can be traced to
the request that asked for it, whether or not its answer came back.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import httpx

from shared.process.background import running
from tests.support.eventually import eventually
from tests.support.http_client import open_client

CLIENTS: Final = 8
USERS: Final = 97  # each of them watches many lessons, so that there is a model to compare
PACE: Final = 0.01  # seconds that a client rests after an answer
BACKOFF: Final = 0.1  # seconds that it rests after an error
TIMEOUT: Final = 40.0  # seconds that it waits for an answer
PATIENCE: Final = 150.0  # seconds until the load counts as stuck

Pair = tuple[int, int]  # a user and a lesson


@dataclass
class Answers:
    """What became of each watch, by its user and lesson."""

    accepted: dict[UUID, Pair] = field(default_factory=dict)  # answered with 2xx, by watch id
    unknown: set[Pair] = field(default_factory=set)  # an error or no answer: recorded or not
    slowest: float = 0.0  # seconds until the slowest 2xx
    statuses: dict[str, int] = field(default_factory=dict)  # how often which answer came
    improper: list[str] = field(default_factory=list)  # errors in another form than documented

    def count(self) -> int:
        """Return how many requests have an answer, or will never have one."""
        return sum(self.statuses.values())


class Load:
    """Eight clients of one consumption service."""

    def __init__(self, url: str, seed: int) -> None:
        self.answers = Answers()
        self._url = url
        self._pairs = _unique_pairs(seed)
        self.waiting = 0  # clients that wait for an answer
        self._busy = asyncio.Event()
        self._busy.set()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Send nothing new while the block lasts."""
        self._busy.clear()
        try:
            yield
        finally:
            self._busy.set()

    async def more(self, count: int) -> None:
        """Wait until so many more watches than now are accepted."""
        goal = len(self.answers.accepted) + count
        await eventually(lambda: len(self.answers.accepted) >= goal, PATIENCE)

    async def answered(self, count: int) -> None:
        """Wait until so many more requests than now have an answer, whatever it is."""
        goal = self.answers.count() + count
        await eventually(lambda: self.answers.count() >= goal, PATIENCE)

    async def burst(self, count: int) -> None:
        """Ask for so many watches more, all at once, and wait for the answers."""
        limits = httpx.Limits(max_connections=count)
        async with (
            open_client(self._url, timeout=TIMEOUT, limits=limits) as client,
            asyncio.TaskGroup() as clients,
        ):
            for _ in range(count):
                clients.create_task(self._watch(client, next(self._pairs)))

    async def run(self) -> None:
        """Record watches until cancelled."""
        async with (
            open_client(self._url, timeout=TIMEOUT) as client,
            asyncio.TaskGroup() as clients,
        ):
            for _ in range(CLIENTS):
                clients.create_task(self._watch_for_ever(client))

    async def _watch_for_ever(self, client: httpx.AsyncClient) -> None:
        for pair in self._pairs:
            await self._busy.wait()
            done = await self._watch(client, pair)
            await asyncio.sleep(PACE if done else BACKOFF)

    async def _watch(self, client: httpx.AsyncClient, pair: Pair) -> bool:
        """Record one watch; until the answer is there, nobody can know what became of it."""
        answers = self.answers
        answers.unknown.add(pair)
        body = {"user_id": pair[0], "lesson_id": pair[1], "position": 314}
        begun = time.monotonic()
        self.waiting += 1
        try:
            answer = await client.post("/watches", json=body)
        except httpx.TransportError as error:
            self._count(type(error).__name__)
            return False
        finally:
            self.waiting -= 1
        self._count(str(answer.status_code))
        if not answer.is_success:
            self._inspect(answer)
            return False
        answers.slowest = max(answers.slowest, time.monotonic() - begun)
        answers.accepted[UUID(answer.json()["id"])] = pair
        answers.unknown.discard(pair)
        return True

    def _count(self, outcome: str) -> None:
        self.answers.statuses[outcome] = self.answers.statuses.get(outcome, 0) + 1

    def _inspect(self, answer: httpx.Response) -> None:
        """An outage is a 503 that says when to come back; anything else is a fault of ours."""
        kind = answer.headers.get("content-type", "")
        documented = (
            answer.status_code == 503
            and kind == "application/problem+json"
            and answer.headers.get("retry-after", "").isdigit()
        )
        if not documented:
            self.answers.improper.append(f"{answer.status_code} {kind} {answer.text}")


@asynccontextmanager
async def loading(url: str, seed: int) -> AsyncIterator[Load]:
    """Keep the service busy while the block lasts."""
    load = Load(url, seed)
    async with running(load.run(), "load"):
        yield load


def _unique_pairs(seed: int) -> Iterator[Pair]:
    """Yield users and lessons in an order that looks like chance, and is the same for a seed."""
    dice = random.Random(seed)  # noqa: S311 - a repeatable schedule, not a secret
    for lesson in range(1, 1_000_000):
        users = list(range(1, USERS + 1))
        dice.shuffle(users)
        yield from ((user, lesson) for user in users)
