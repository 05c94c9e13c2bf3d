"""A connection that is lost while a batch is finished leaves the counters right."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override

from recommendation_service.consume.watches import Observers, WatchConsumer
from recommendation_service.evaluate.attribution import Impressions
from recommendation_service.evaluate.prequential import Evaluator
from recommendation_service.replicate.model_replica import ModelReplica
from recommendation_service.settings import RecommendationSettings
from recommendation_service.stats import LiveStats
from shared.broker.in_process import InProcessBroker
from shared.broker.interface import BrokerUnavailable, Delivery, Message, Subscription
from shared.broker.topology import WATCH, Queue
from shared.database.database import Database
from shared.process.background import running
from tests.support.eventually import eventually, within

WATCHES = 3


class OneBatch:
    """A subscription that is lost after its first batch, before the acknowledgement is sent."""

    def __init__(self, source: Subscription) -> None:
        self._source = source
        self._received = False
        self._lost = asyncio.Event()
        self.ack, self.reject = source.ack, source.reject

    async def receive(self, limit: int) -> list[Delivery]:
        if self._received:
            self._lost.set()
            raise BrokerUnavailable("lost")
        deliveries = await within(self._source.receive(limit))
        self._received = True
        return deliveries

    async def ack_up_to(self, tag: int) -> None:
        await within(self._lost.wait())
        await asyncio.sleep(0)  # whoever hears of the loss goes on
        await self._source.ack_up_to(tag)


class BrokerThatGoesAway(InProcessBroker):
    """Each of its subscriptions is lost after one batch."""

    @override
    @asynccontextmanager
    async def subscription(self, queue: Queue, prefetch: int) -> AsyncGenerator[Subscription]:
        async with super().subscription(queue, prefetch) as source:
            yield OneBatch(source)


async def test_nothing_counts_as_unacknowledged_after_a_lost_connection(
    recommendation_database: Database,
) -> None:
    broker, stats = BrokerThatGoesAway(), LiveStats()
    replica = ModelReplica(recommendation_database)
    await replica.load()
    observers = Observers(
        Evaluator(recommendation_database, replica, 0),
        Impressions(recommendation_database),
        stats,
    )
    consumer = WatchConsumer(RecommendationSettings(), recommendation_database, replica, observers)

    async with running(consumer.run(broker), "consume"), broker.publisher(WATCH) as publisher:
        await within(consumer.status.attempted.wait())
        body = b'{"user_id": 1, "lesson_id": 2, "position": 3}'
        messages = [Message(str(number), "created", body) for number in range(WATCHES)]
        await within(publisher.publish(messages))
        await eventually(lambda: consumer.status.outage == "lost")

    assert stats.received == WATCHES
    assert stats.unacked == 0
