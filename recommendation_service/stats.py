"""Live stats: the length of the queue, message rates, and how fresh the recommendations are.

This process counts them; the length of the queue comes from the broker, once a second.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple

from recommendation_service.metrics import LearningMetrics
from shared.broker.interface import Broker, BrokerError, Delivery
from shared.broker.topology import Queue
from shared.clock import utc_now

INTERVAL: Final = 1.0  # seconds between samples
RATE_SPAN: Final = 10  # intervals between the two samples that a rate is computed from
MAX_DELAYS: Final = 10_000  # events that the percentiles of freshness are computed over


class Sample(NamedTuple):
    """The counters at one time."""

    at: float
    published: int
    delivered: int
    acknowledged: int
    redelivered: int


class Rates(NamedTuple):
    """Messages per second."""

    publish: float = 0.0
    deliver: float = 0.0
    ack: float = 0.0
    redelivered: float = 0.0


@dataclass(slots=True)
class LiveStats:
    """What happened since the process started. `metrics` shows the same counters to Prometheus."""

    ready: int = 0  # messages in the queue; up to INTERVAL old
    unacked: int = 0  # deliveries that this process has not acknowledged
    received: int = 0
    redelivered: int = 0  # of those received
    acknowledged: int = 0
    learned_events: int = 0
    broker_outage: str | None = "has not been asked yet"  # what is wrong with the broker
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=RATE_SPAN + 1))
    delays: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_DELAYS))  # milliseconds
    metrics: LearningMetrics = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = LearningMetrics(
            received=lambda: self.received,
            redelivered=lambda: self.redelivered,
            ready=lambda: self.ready,
            unacked=lambda: self.unacked,
        )

    @property
    def backlog(self) -> int:
        """Return how many messages wait to be learned; those in the queue up to INTERVAL ago."""
        return self.ready + self.unacked

    def count_received(self, deliveries: Sequence[Delivery]) -> None:
        """Count deliveries that were received."""
        self.received += len(deliveries)
        self.unacked += len(deliveries)
        self.redelivered += sum(delivery.redelivered for delivery in deliveries)

    def count_acknowledged(self, count: int) -> None:
        """Count deliveries that were acknowledged."""
        self.acknowledged += count
        self.unacked -= count

    def connection_lost(self) -> None:
        """Forget the unacknowledged deliveries: they went back to the queue."""
        self.unacked = 0

    def count_learned(self, recorded: Iterable[datetime]) -> None:
        """Count events that were just learned, and their delay since each was recorded."""
        now = utc_now()
        for recorded_at in recorded:
            self.learned_events += 1
            seconds = (now - recorded_at).total_seconds()
            self.delays.append(seconds * 1000)
            self.metrics.freshness.observe(seconds)

    def rates(self) -> Rates:
        """Return the rates over the last samples."""
        if len(self.samples) < 2:
            return Rates()
        first, last = self.samples[0], self.samples[-1]
        seconds = last.at - first.at
        changes = [(new - old) / seconds for old, new in zip(first[1:], last[1:], strict=True)]
        return Rates(*(round(max(change, 0.0), 1) for change in changes))

    def freshness_ms(self, percent: int, latest: int = MAX_DELAYS) -> float:
        """Return a percentile of the latest delays, 0 when there are none."""
        delays = sorted(islice(reversed(self.delays), latest))
        if not delays:
            return 0.0
        return round(delays[min(len(delays) * percent // 100, len(delays) - 1)], 1)

    async def run(self, broker: Broker, queue: Queue) -> None:
        """Take a sample every second, for ever."""
        while True:
            try:
                self.ready = (await broker.depth(queue)).ready
                self.broker_outage = None
            except BrokerError as error:
                self.broker_outage = str(error)
            self.take_sample(asyncio.get_running_loop().time())
            await asyncio.sleep(INTERVAL)

    def take_sample(self, at: float) -> None:
        """Keep the counters. Published is what waits in the queue, and what has left it."""
        published, delivered = self.acknowledged + self.backlog, self.acknowledged + self.unacked
        self.samples.append(Sample(at, published, delivered, self.acknowledged, self.redelivered))
