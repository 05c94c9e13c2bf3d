"""Metrics of learning, as this process counts them; see `shared/process/metrics.py`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from shared.process.metrics import BUCKETS, FastHistogram, Metrics

FRESHNESS: Final = (*BUCKETS, 30.0, 60.0, 300.0, 1800.0)


class LearningMetrics(Metrics):
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
            buckets=BUCKETS,
            registry=None,
        )
        self.freshness = FastHistogram(
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
