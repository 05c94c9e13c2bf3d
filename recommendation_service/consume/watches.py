"""Consume watches: learn deliveries in one transaction, then acknowledge them together.

While one batch is applied to the model and acknowledged, the next one is received and committed.
While the database is away nothing is acknowledged, rejected or received: the queue waits.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from recommendation_service.consume.batches import acknowledge, process_batch
from recommendation_service.consume.erasures import ErasureHandler
from recommendation_service.consume.parse import parse_event
from recommendation_service.consume.poison import isolate, may_be_poison, receive_rest
from recommendation_service.evaluate.attribution import Impressions
from recommendation_service.evaluate.prequential import Evaluator
from recommendation_service.event import Event, is_erasure
from recommendation_service.learn.learn import LearnedBatch, learn
from recommendation_service.learn.parked_messages import RejectedDelivery, park
from recommendation_service.replicate.model_replica import ModelReplica
from recommendation_service.settings import RecommendationSettings
from recommendation_service.stats import LiveStats
from shared.broker.interface import Broker, Delivery, Subscription
from shared.broker.reconnect import ConnectionStatus, keep_connected
from shared.broker.topology import RECOMMENDATION_WATCH, partitioned
from shared.database.database import Database, DatabaseUnavailable
from shared.process.background import finish_before_cancel
from shared.process.tracing import learning

log = logging.getLogger(__name__)


class Observers(NamedTuple):
    """The parts that observe what this process learns."""

    evaluator: Evaluator
    impressions: Impressions
    stats: LiveStats


class WatchConsumer:
    """Learns from the queue `recommendation.watch.*`, or from its partitions."""

    def __init__(
        self,
        settings: RecommendationSettings,
        database: Database,
        replica: ModelReplica,
        observers: Observers,
    ) -> None:
        self._settings = settings
        self._database = database
        self._replica = replica
        self._observers = observers
        self._stats = observers.stats
        self._finishing: asyncio.Task[None] | None = None  # the batch that was committed last
        self.queue = partitioned(RECOMMENDATION_WATCH, settings.partitions)
        self.status = ConnectionStatus("learning")

    async def run(self, broker: Broker) -> None:
        """Consume for ever, reconnecting as needed."""
        max_bytes = self._settings.max_message_bytes
        erasures = ErasureHandler(max_bytes, self._database, self._replica, broker)
        connect = partial(broker.subscription, self.queue, self._settings.prefetch)
        await keep_connected(self.status, connect, partial(self._consume, erasures))

    async def _consume(self, erasures: ErasureHandler, source: Subscription) -> None:
        try:
            while True:
                deliveries = await self._receive(source)
                self._stats.count_received(deliveries)
                batches = isolate(deliveries)
                for batch in batches:
                    if is_erasure(batch[0]):
                        step = self._erase(source, batch[0], erasures)
                    else:
                        step = self._settle(source, batch, ack_multiple=len(batches) == 1)
                    await finish_before_cancel(step)
        finally:
            try:
                await finish_before_cancel(self._finished())
            finally:
                self._stats.connection_lost()  # last: finishing counts acknowledgements

    async def _receive(self, source: Subscription) -> list[Delivery]:
        """Receive a batch; with a poison message, everything that arrives with it."""
        deliveries = await source.receive(self._settings.batch_size)
        if any(map(may_be_poison, deliveries)):
            await self._finished()  # the batch before must not share the fate of a poison message
            await receive_rest(source, deliveries, self._settings.prefetch)
        return deliveries

    async def _settle(
        self, source: Subscription, batch: Sequence[Delivery], *, ack_multiple: bool
    ) -> None:
        """Commit the batch, and begin to finish it."""
        with self._stats.metrics.learning(len(batch)), learning([one.headers for one in batch]):
            parse = partial(parse_event, max_bytes=self._settings.max_message_bytes)
            new = await process_batch(batch, parse, self._commit, "learning")
        await self._finished()
        finishing = self._finish(source, batch, new, ack_multiple=ack_multiple)
        self._finishing = asyncio.create_task(finishing, name="finish a batch")
        if not ack_multiple:
            await self._finished()

    async def _commit(
        self, events: Sequence[Event], rejected: Sequence[RejectedDelivery]
    ) -> Sequence[Event]:
        """Learn and park in one transaction; return the events that were not learned before."""

        async def transaction() -> LearnedBatch:
            async with self._database.write() as connection:
                learned = await learn(self._database, connection, events)
                await park(connection, rejected)
            return learned

        observer = self._observers.evaluator.observer_within_budget()
        return (await self._replica.commit(transaction, observer)).events

    async def _finish(
        self,
        source: Subscription,
        batch: Sequence[Delivery],
        new: Sequence[Event],
        *,
        ack_multiple: bool,
    ) -> None:
        """Apply the committed changes to the model, and acknowledge."""
        try:
            await self._replica.apply_committed()
        except DatabaseUnavailable as outage:
            log.warning("the model replica is behind: %s", outage)
        self._stats.count_learned(event.recorded_at for event in new)
        self._observers.impressions.add_watches(new)
        await acknowledge(source, batch, ack_multiple=ack_multiple)
        self._stats.count_acknowledged(len(batch))

    async def _finished(self) -> None:
        """Wait until the batch before is finished."""
        if self._finishing is not None:
            finishing, self._finishing = self._finishing, None
            await finishing

    async def _erase(
        self, source: Subscription, delivery: Delivery, erasures: ErasureHandler
    ) -> None:
        await self._finished()
        with self._stats.metrics.learning(1):
            await erasures.handle(delivery)
        await source.ack(delivery.tag)
        self._stats.count_acknowledged(1)
