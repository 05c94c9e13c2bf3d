"""Metrics of the consumption service, see `shared/process/metrics.py`."""

import collections
import time
from collections.abc import Sequence
from uuid import UUID

from prometheus_client import Counter, Gauge, Histogram

from shared.broker.interface import PublishOutcome
from shared.clock import utc_now
from shared.process.metrics import BUCKETS, Metrics
from shared.uuid7 import time_of


class CommitMetrics(Metrics):
    """Metrics of the group commit."""

    def __init__(self) -> None:
        self.commands = Histogram(
            "upnext_commit_commands",
            "Commands in one transaction.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=None,
        )
        self.seconds = Histogram(
            "upnext_commit_seconds",
            "Duration of a transaction, its commit included.",
            buckets=BUCKETS,
            registry=None,
        )
        self.waiting = Gauge(
            "upnext_commit_waiting", "Commands that wait for a transaction.", registry=None
        )

    def observe_commit(self, commands: int, began: float) -> None:
        """Count a transaction; `began` is a value of the performance counter."""
        self.commands.observe(commands)
        self.seconds.observe(time.perf_counter() - began)


class PublishMetrics(Metrics):
    """Metrics of the outbox and its relay."""

    def __init__(self) -> None:
        self.seconds = Histogram(
            "upnext_publish_confirm_seconds",
            "Time from publishing a batch of events until the broker has answered for all.",
            buckets=BUCKETS,
            registry=None,
        )
        self.events = Counter(
            "upnext_published_events", "Events published, by outcome.", ("outcome",), registry=None
        )
        for outcome in PublishOutcome:  # at 0 before the first event, so that a rate sees it
            self.events.labels(outcome.value)
        self.outbox = Gauge(
            "upnext_outbox_events",
            "Events that the broker has not confirmed; counted up to MAX_OUTBOX.",
            registry=None,
        )
        self.outbox_age = Gauge(
            "upnext_outbox_oldest_seconds", "Age of the oldest of them; 0: none.", registry=None
        )
        self.connected = Gauge(
            "upnext_announcing", "1: events are announced. 0: they wait.", registry=None
        )

    def observe_publish(self, outcomes: Sequence[PublishOutcome], began: float) -> None:
        """Count a published batch; `began` is a value of the performance counter."""
        self.seconds.observe(time.perf_counter() - began)
        for outcome, number in collections.Counter(outcomes).items():
            self.events.labels(outcome.value).inc(number)

    def waiting(self, events: int, oldest: UUID | None) -> None:
        """Set the size of the outbox, and the age of its oldest event, which its id tells."""
        self.outbox.set(events)
        self.outbox_age.set(max((utc_now() - time_of(oldest)).total_seconds(), 0) if oldest else 0)
