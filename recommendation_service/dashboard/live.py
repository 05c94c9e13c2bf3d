"""Live updates of the dashboard: a sample every second, kept for the charts."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from recommendation_service.api.dependencies import AppState
from recommendation_service.dashboard.consumption import ConsumptionProxy
from recommendation_service.evaluate.prequential import (
    RECENT_BLOCKS,
    EvaluationReport,
    read_evaluation,
)
from recommendation_service.learn.model_state import read_model_state
from recommendation_service.learn.parked_messages import count_parked
from shared.clock import utc_now
from shared.database.database import Database, DatabaseUnavailable

INTERVAL: Final = 1.0  # seconds
MAX_SAMPLES: Final = 300
RECENT_SAMPLES: Final = 60  # "freshness" is that of the watches of these samples ...
MIN_RECENT_WATCHES: Final = 100  # ... or of so many watches, if these are more
DATABASE_TIMEOUT: Final = 2.0  # seconds

Update = dict[str, Any]


class LiveUpdates:
    """What the dashboard shows. Without a viewer it costs one sample a second."""

    def __init__(
        self, app: AppState, consumption: ConsumptionProxy, draining: asyncio.Event
    ) -> None:
        self._app = app
        self._consumption = consumption
        self._draining = draining
        self._samples: deque[Update] = deque(maxlen=MAX_SAMPLES)
        self._learned = 0
        self._viewers = 0
        self._stored: Update = {}
        self._next_sample: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Take a sample every second, until the process is to end; wake the viewers each time."""
        while not self._draining.is_set():
            self._samples.append(self._sample())
            if self._viewers:
                await self._refresh_stored()
            self._wake_viewers()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._draining.wait(), INTERVAL)
        self._wake_viewers()

    def _wake_viewers(self) -> None:
        taken, self._next_sample = self._next_sample, asyncio.get_running_loop().create_future()
        taken.set_result(None)

    def _sample(self) -> Update:
        stats = self._app.stats
        new = stats.learned_events - self._learned
        self._learned = stats.learned_events
        return {
            "at": utc_now().timestamp(),
            "ready": stats.ready,
            "unacked": stats.unacked,
            **stats.rates()._asdict(),
            "learned": new,
            "p50": stats.freshness_ms(50, new) if new else None,
            "p99": stats.freshness_ms(99, new) if new else None,
        }

    async def updates(self) -> AsyncIterator[Update]:
        """Yield an update with all samples, then one with each further sample, until the end."""
        self._viewers += 1
        try:
            await self._refresh_stored()
            yield self._current() | {"samples": list(self._samples)}
            while True:
                await asyncio.shield(self._next_sample)  # other viewers wait for it, too
                if self._draining.is_set():
                    return
                yield self._current() | {"samples": [self._samples[-1]]}
        finally:
            self._viewers -= 1

    def _current(self) -> Update:
        stats = self._app.stats
        recent = islice(reversed(self._samples), RECENT_SAMPLES)
        latest = max(sum(sample["learned"] for sample in recent), MIN_RECENT_WATCHES)
        return self._stored | {
            "freshness": {
                "p50": stats.freshness_ms(50, latest),
                "p99": stats.freshness_ms(99, latest),
            },
            "lessons": self._app.replica.model.lessons,
        }

    async def _refresh_stored(self) -> None:
        """Read from the database and the other service; without an answer they count as away."""
        health = {"broker": self._app.stats.broker_outage or "ok", "database": "ok"}
        try:
            async with asyncio.timeout(DATABASE_TIMEOUT):
                self._stored |= await _stored(self._app.database)
        except (DatabaseUnavailable, TimeoutError) as outage:
            health["database"] = str(outage) or "does not answer"
        self._stored["health"] = {
            "recommendation": _summary(health),
            "consumption": await self._consumption.health(),
        }


def _summary(parts: dict[str, str]) -> Update:
    if parts["database"] != "ok":
        return {"status": "unready", "parts": parts}
    return {"status": "ready" if parts["broker"] == "ok" else "degraded", "parts": parts}


async def _stored(database: Database) -> Update:
    async with database.read() as connection:
        state = await read_model_state(connection)
    return {
        "applied": state.applied,
        "duplicates": state.duplicates,
        "parked": await count_parked(database),
        "quality": {
            "all_time": _quality(await read_evaluation(database)),
            "recent": _quality(await read_evaluation(database, RECENT_BLOCKS)),
        },
    }


def _quality(report: EvaluationReport) -> Update:
    return {
        "evaluated": report.evaluated,
        "upnext": report.upnext.hit,
        "popular": report.popular.hit,
    }
