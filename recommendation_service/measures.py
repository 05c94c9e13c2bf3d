"""Measures: what the recommendation service counts of itself, see `shared/metrics.py`."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import func, select

from recommendation_service.evaluate import RECENT_BLOCKS, Quality, report
from recommendation_service.follow import Follower
from recommendation_service.read import Reason
from recommendation_service.tables import model_state, parked
from shared.database import Database, DatabaseUnavailable
from shared.metrics import SECONDS, Distribution, Measures, Registry

PATIENCE: Final = 2.0  # seconds with the database; whoever scrapes has little more
FRESHNESS: Final = (*SECONDS, 30.0, 60.0, 300.0, 1800.0)


class LearningMeasures(Measures):
    """Deliveries on their way into the model, as this process sees them."""

    def __init__(self) -> None:
        self.deliveries = Counter(
            "upnext_deliveries", "Messages received from the queue.", registry=None
        )
        self.redeliveries = Counter(
            "upnext_redeliveries", "Those of them that came again.", registry=None
        )
        self.ready = Gauge("upnext_queue_ready", "Messages that wait in the queue.", registry=None)
        self.unacked = Gauge(
            "upnext_queue_unacked",
            "Messages that this process has received and not acknowledged.",
            registry=None,
        )
        self.batch = Histogram(
            "upnext_learn_messages",
            "Messages in one transaction.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
            registry=None,
        )
        self.seconds = Histogram(
            "upnext_learn_seconds",
            "Time to learn a batch, its commit and a wait for the database included.",
            buckets=SECONDS,
            registry=None,
        )
        self.freshness = Distribution(
            "upnext_freshness_seconds",
            "Time from the recording of a watch until it was learned.",
            FRESHNESS,
        )

    @contextmanager
    def learning(self, messages: int) -> Iterator[None]:
        """Count a batch that is learned while the block lasts."""
        began = time.perf_counter()
        yield
        self.batch.observe(messages)
        self.seconds.observe(time.perf_counter() - began)


class StoredMeasures(Measures):
    """What the database says: the same in each process of the service."""

    def __init__(self, database: Database, follower: Follower) -> None:
        self._database = database
        self.applied = Gauge(
            "upnext_applied_events", "Distinct events learned since ever.", registry=None
        )
        self.duplicates = Gauge(
            "upnext_duplicate_events", "Events that came again after that.", registry=None
        )
        self.parked = Gauge(
            "upnext_parked_messages", "Messages set aside now.", ("reason",), registry=None
        )
        self.quality = Gauge(
            "upnext_quality",
            "How well the next lessons were predicted lately, beside plain popularity.",
            ("recommender", "measure"),
            registry=None,
        )
        self.lessons = Gauge("upnext_model_lessons", "Lessons in the model.", registry=None)
        self.lessons.set_function(lambda: follower.model.lessons)

    async def refresh(self) -> None:
        """Read it; while the database is away, the figures stay what they were."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._read_learned()
                recent = await report(self._database, RECENT_BLOCKS)
        except (DatabaseUnavailable, TimeoutError):
            return
        self._show("upnext", recent.upnext)
        self._show("popular", recent.popular)

    async def _read_learned(self) -> None:
        count = select(parked.c.reason, func.count()).group_by(parked.c.reason)
        async with self._database.read() as connection:
            state = (await connection.execute(select(model_state))).one()
            reasons = {row.reason: row[1] for row in await connection.execute(count)}
        self.applied.set(state.applied)
        self.duplicates.set(state.duplicates)
        for reason in Reason:
            self.parked.labels(reason.value).set(reasons.get(reason.value, 0))

    def _show(self, recommender: str, quality: Quality) -> None:
        for measure, value in (
            ("hit@10", quality.hit),
            ("ndcg@10", quality.ndcg),
            ("mrr@10", quality.mrr),
        ):
            self.quality.labels(recommender, measure).set(value)


def show_measures(registry: Registry, learning: LearningMeasures, stored: StoredMeasures) -> None:
    """Show all of them at `/metrics`."""
    registry.add(learning, stored, refresh=stored.refresh)
