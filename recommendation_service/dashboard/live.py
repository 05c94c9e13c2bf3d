"""Live: a sample each second, kept for the charts, and the news for those who look on."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, Final

from recommendation_service.api.dependencies import AppState
from recommendation_service.dashboard.consumption import Consumption
from recommendation_service.evaluate.prequential import RECENT_BLOCKS, Report, report
from recommendation_service.learn.model_state import read_model_state
from recommendation_service.learn.parked import count_parked
from shared.clock import utc_now
from shared.database.database import Database, DatabaseUnavailable

INTERVAL: Final = 1.0  # seconds
KEPT: Final = 300  # samples
LATELY: Final = 60  # samples, whose watches are "the latest" ...
FEW: Final = 100  # ... or so many, if these are more
PATIENCE: Final = 2.0  # seconds with the database

LogEntry = dict[str, Any]


class Live:
    """What the dashboard shows. While nobody looks on, it costs a sample a second."""

    def __init__(self, app: AppState, consumption: Consumption, draining: asyncio.Event) -> None:
        self._opened = app
        self._consumption = consumption
        self._draining = draining
        self._samples: deque[LogEntry] = deque(maxlen=KEPT)
        self._learned = 0
        self._watchers = 0
        self._stored: LogEntry = {}
        self._next: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Measure until the process is to end, and let those who wait know."""
        while not self._draining.is_set():
            self._samples.append(self._sample())
            if self._watchers:
                await self._look()
            self._turn()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._draining.wait(), INTERVAL)
        self._turn()

    def _turn(self) -> None:
        passed, self._next = self._next, asyncio.get_running_loop().create_future()
        passed.set_result(None)

    def _sample(self) -> LogEntry:
        stats = self._opened.stats
        new = stats.learned_events - self._learned
        self._learned = stats.learned_events
        return {
            "at": utc_now().timestamp(),
            "ready": stats.ready,
            "unacked": stats.unacked,
            **stats.rates()._asdict(),
            "learned": new,
            "p50": stats.freshness(50, new) if new else None,
            "p99": stats.freshness(99, new) if new else None,
        }

    async def news(self) -> AsyncIterator[LogEntry]:
        """Yield what is known, with all samples at first; until the process is to end."""
        with self._watching():
            await self._look()
            yield self._known() | {"samples": list(self._samples)}
            while True:
                await asyncio.shield(self._next)  # others wait for it, too
                if self._draining.is_set():
                    return
                yield self._known() | {"samples": [self._samples[-1]]}

    @contextmanager
    def _watching(self) -> Iterator[None]:
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    def _known(self) -> LogEntry:
        stats = self._opened.stats
        lately = sum(sample["learned"] for sample in islice(reversed(self._samples), LATELY))
        latest = max(lately, FEW)
        return self._stored | {
            "freshness": {
                "p50": stats.freshness(50, latest),
                "p99": stats.freshness(99, latest),
            },
            "lessons": self._opened.replica.model.lessons,
        }

    async def _look(self) -> None:
        """Ask the database and the other service; what does not answer is said to be away."""
        health = {"broker": self._opened.stats.trouble or "ok", "database": "ok"}
        try:
            async with asyncio.timeout(PATIENCE):
                self._stored |= await _stored(self._opened.database)
        except (DatabaseUnavailable, TimeoutError) as outage:
            health["database"] = str(outage) or "does not answer"
        self._stored["health"] = {
            "recommendation": _summary(health),
            "consumption": await self._consumption.health(),
        }


def _summary(parts: dict[str, str]) -> LogEntry:
    if parts["database"] != "ok":
        return {"status": "unready", "parts": parts}
    return {"status": "ready" if parts["broker"] == "ok" else "degraded", "parts": parts}


async def _stored(database: Database) -> LogEntry:
    async with database.read() as connection:
        state = await read_model_state(connection)
    return {
        "applied": state.applied,
        "duplicates": state.duplicates,
        "parked": await count_parked(database),
        "quality": {
            "all_time": _quality(await report(database)),
            "recent": _quality(await report(database, RECENT_BLOCKS)),
        },
    }


def _quality(found: Report) -> LogEntry:
    return {
        "evaluated": found.evaluated,
        "upnext": found.upnext.hit,
        "popular": found.popular.hit,
    }
