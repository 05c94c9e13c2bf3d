"""Metrics of the recommendation service; see `shared/process/metrics.py`."""

import asyncio
from typing import Final

from prometheus_client import Gauge

from recommendation_service.evaluate.prequential import RECENT_BLOCKS, Quality, read_evaluation
from recommendation_service.event import ParkReason
from recommendation_service.learn.model_state import read_model_state
from recommendation_service.learn.parked_messages import count_by_reason
from recommendation_service.replicate.model_replica import ModelReplica
from shared.database.database import Database, DatabaseUnavailable
from shared.process.metrics import Metrics

DATABASE_TIMEOUT: Final = 2.0  # seconds; a scrape has little more


class StoredMetrics(Metrics):
    """Metrics that are read from the database, the same in each process of the service."""

    def __init__(self, database: Database, replica: ModelReplica) -> None:
        self._database = database
        self.applied = Gauge(
            "upnext_applied_events", "Distinct events learned so far.", registry=None
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
        self.lessons.set_function(lambda: replica.model.lessons)

    async def refresh(self) -> None:
        """Read the metrics; while the database is unavailable, they keep their values."""
        try:
            async with asyncio.timeout(DATABASE_TIMEOUT):
                await self._read_learned()
                recent = await read_evaluation(self._database, RECENT_BLOCKS)
        except (DatabaseUnavailable, TimeoutError):
            return
        self._set_quality("upnext", recent.upnext)
        self._set_quality("popular", recent.popular)

    async def _read_learned(self) -> None:
        async with self._database.read() as connection:
            state = await read_model_state(connection)
            reasons = await count_by_reason(connection)
        self.applied.set(state.applied)
        self.duplicates.set(state.duplicates)
        for reason in ParkReason:
            self.parked.labels(reason.value).set(reasons.get(reason.value, 0))

    def _set_quality(self, recommender: str, quality: Quality) -> None:
        for measure, value in (
            ("hit@10", quality.hit),
            ("ndcg@10", quality.ndcg),
            ("mrr@10", quality.mrr),
        ):
            self.quality.labels(recommender, measure).set(value)
