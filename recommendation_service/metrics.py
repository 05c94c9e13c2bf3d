"""Metrics of learning in this process; see `shared/process/metrics.py`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import Gauge, Histogram

from shared.process.metrics import BUCKETS, CallbackCounter, FastHistogram, Metrics, Read

FRESHNESS_BUCKETS: Final = (*BUCKETS, 30.0, 60.0, 300.0, 1800.0)  # seconds


class LearningMetrics(Metrics):
    """Deliveries on their way into the model."""

    def __init__(self, received: Read, redelivered: Read, ready: Read, unacked: Read) -> None:
        self.deliveries = CallbackCounter(
            "upnext_deliveries", "Messages received from the queue.", received
        )
        self.redeliveries = CallbackCounter(
            "upnext_redeliveries", "Those of them that came again.", redelivered
        )
        self.ready = Gauge("upnext_queue_ready", "Messages that wait in the queue.", registry=None)
        self.ready.set_function(ready)
        self.unacked = Gauge(
            "upnext_queue_unacked",
            "Messages that this process has received and not acknowledged.",
            registry=None,
        )
        self.unacked.set_function(unacked)
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
            FRESHNESS_BUCKETS,
        )

    @contextmanager
    def learning(self, messages: int) -> Iterator[None]:
        """Observe the size of a batch, and how long the block takes to learn it."""
        began = time.perf_counter()
        yield
        self.batch.observe(messages)
        self.seconds.observe(time.perf_counter() - began)
