"""The panel: what the queue holds, how fast it moves, and how fresh the recommendations are.

Counted by this process; the queue's length is the broker's word.
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
SPAN: Final = 10  # samples that a rate is taken over
DELAYS: Final = 10_000  # events that the percentiles of freshness are taken over


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
    """The counters since the process started."""

    ready: int = 0
    delivered: int = 0
    acknowledged: int = 0
    redelivered: int = 0
    learned_events: int = 0
    trouble: str | None = "has not been asked yet"  # what is wrong with the broker
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SPAN + 1))
    delays: deque[float] = field(default_factory=lambda: deque(maxlen=DELAYS))  # milliseconds
    metrics: LearningMetrics = field(default_factory=LearningMetrics)

    def __post_init__(self) -> None:
        self.metrics.ready.set_function(lambda: self.ready)
        self.metrics.unacked.set_function(lambda: self.unacked)

    @property
    def unacked(self) -> int:
        """Return how many deliveries this process has not settled."""
        return self.delivered - self.acknowledged

    def took(self, deliveries: Sequence[Delivery]) -> None:
        """Count deliveries that were received."""
        again = sum(delivery.redelivered for delivery in deliveries)
        self.delivered += len(deliveries)
        self.redelivered += again
        self.metrics.deliveries.inc(len(deliveries))
        self.metrics.redeliveries.inc(again)

    def settled(self, count: int) -> None:
        """Count deliveries that were acknowledged."""
        self.acknowledged += count

    def lost(self) -> None:
        """Forget the deliveries that went back to the queue with their connection."""
        self.delivered = self.acknowledged

    def learned(self, recorded: Iterable[datetime]) -> None:
        """Note how long it took from the recording of each event until now."""
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

    def freshness(self, percent: int, latest: int = DELAYS) -> float:
        """Return the percentile of the latest delays in milliseconds, 0 when there are none."""
        delays = sorted(islice(reversed(self.delays), latest))
        if not delays:
            return 0.0
        return round(delays[min(len(delays) * percent // 100, len(delays) - 1)], 1)

    async def run(self, broker: Broker, queue: Queue) -> None:
        """Take a sample every second, for ever."""
        while True:
            try:
                self.ready = (await broker.depth(queue)).ready
                self.trouble = None
            except BrokerError as error:
                self.trouble = str(error)
            self.sample(asyncio.get_running_loop().time())
            await asyncio.sleep(INTERVAL)

    def sample(self, at: float) -> None:
        """Note the counters. What is not in the queue any more was published once."""
        published = self.acknowledged + self.unacked + self.ready
        self.samples.append(
            Sample(at, published, self.delivered, self.acknowledged, self.redelivered)
        )
