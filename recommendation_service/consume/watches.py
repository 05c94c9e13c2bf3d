"""Consume: turn deliveries into one transaction, then acknowledge them all at once.

The commit comes before the acknowledgement, so a delivery is learned or comes again. A message
that cannot be processed is parked in the same transaction, and does not hold up the others. While
the database is away nothing is acknowledged, refused or fetched: the queue waits.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from typing import Final, NamedTuple

from recommendation_service.consume.erasures import Eraser
from recommendation_service.consume.parse import read
from recommendation_service.consume.poison import apart, gather, is_suspicious
from recommendation_service.evaluate.attribution import Impressions
from recommendation_service.evaluate.prequential import Evaluator
from recommendation_service.event import Event, Unprocessable, is_erasure
from recommendation_service.learn.learn import learn
from recommendation_service.learn.parked import Rejected, not_learnable, park
from recommendation_service.replicate.model import ModelReplica
from recommendation_service.settings import RecommendationSettings
from recommendation_service.stats import LiveStats
from shared.broker.interface import Broker, BrokerError, Delivery, Subscription
from shared.broker.topology import RECOMMENDATION, partitioned
from shared.database.database import Database, DatabaseUnavailable
from shared.process.background import finish_before_cancel
from shared.process.tracing import learning

log = logging.getLogger(__name__)

RECONNECT_DELAY: Final = 1.0  # seconds, on average
PAUSE: Final = (0.1, 10.0)  # seconds to wait for the database: at first, and at most


class Observers(NamedTuple):
    """What is told of each batch that is learned."""

    evaluator: Evaluator
    impressions: Impressions
    stats: LiveStats


class Consumer:
    """Learns from the queue `recommendation.watch.*`, or its partitions."""

    def __init__(
        self,
        settings: RecommendationSettings,
        database: Database,
        replica: ModelReplica,
        observers: Observers,
    ) -> None:
        self._settings = settings
        self.queue = partitioned(RECOMMENDATION, settings.partitions)
        self._database = database
        self._replica = replica
        self._evaluator, self._impressions, self._stats = observers
        self._finishing: asyncio.Task[None] | None = None  # the batch committed last
        self.trouble: str | None = "is not connected yet"
        self.attempted = asyncio.Event()  # the broker was reached, or was found to be away

    async def run(self, broker: Broker) -> None:
        """Consume for ever, reconnecting as needed."""
        eraser = Eraser(self._settings.max_message_bytes, self._database, self._replica, broker)
        while True:
            try:
                async with broker.subscription(self.queue, self._settings.prefetch) as source:
                    self._report(None)
                    await self._consume(source, eraser)
            except BrokerError as error:
                self._report(str(error))
            except Exception:
                # Nobody would start this loop again; what was not acknowledged comes again.
                log.exception("consuming failed, and begins anew")
                self._report("failed, see the log")
            self._stats.connection_lost()
            await asyncio.sleep(RECONNECT_DELAY * random.uniform(0.5, 1.5))  # noqa: S311

    def _report(self, trouble: str | None) -> None:
        if trouble:
            log.warning("not consuming: %s", trouble)
        self.trouble = trouble
        self.attempted.set()

    async def _consume(self, source: Subscription, eraser: Eraser) -> None:
        try:
            while True:
                deliveries = await self._receive(source)
                self._stats.count_received(deliveries)
                for batch in (batches := apart(deliveries)):
                    if is_erasure(batch[0]):
                        step = self._erase(source, batch[0], eraser)
                    else:
                        step = self._settle(source, batch, alone=len(batches) == 1)
                    await finish_before_cancel(step)
        finally:
            await finish_before_cancel(self._finished())

    async def _receive(self, source: Subscription) -> list[Delivery]:
        """Receive a batch; with one that came back often, all that comes with it."""
        deliveries = await source.receive(self._settings.batch_size)
        if any(map(is_suspicious, deliveries)):
            await self._finished()  # nobody shares the fate of such a message
            await gather(source, deliveries, self._settings.prefetch)
        return deliveries

    async def _settle(
        self, source: Subscription, batch: Sequence[Delivery], *, alone: bool
    ) -> None:
        """Commit the batch. While the next one is received and committed, this one is finished."""
        with self._stats.metrics.learning(len(batch)), learning([one.headers for one in batch]):
            fresh = await self._process(batch)
        await self._finished()
        finishing = self._finish(source, batch, fresh, alone=alone)
        self._finishing = asyncio.create_task(finishing, name="finish a batch")
        if not alone:
            await self._finished()

    async def _finish(
        self,
        source: Subscription,
        batch: Sequence[Delivery],
        fresh: Sequence[Event],
        *,
        alone: bool,
    ) -> None:
        """Bring the model up to what is committed, and acknowledge."""
        try:
            await self._replica.adopt()
        except DatabaseUnavailable as outage:
            log.warning("the model will follow when it can: %s", outage)
        self._stats.count_learned(event.recorded_at for event in fresh)
        self._impressions.record_watches(fresh)
        if alone:
            await source.ack_up_to(batch[-1].tag)
        else:
            for delivery in batch:
                await source.ack(delivery.tag)
        self._stats.count_acknowledged(len(batch))

    async def _finished(self) -> None:
        """Wait until the batch before is finished."""
        if self._finishing is not None:
            finishing, self._finishing = self._finishing, None
            await finishing

    async def _erase(self, source: Subscription, delivery: Delivery, eraser: Eraser) -> None:
        await self._finished()
        with self._stats.metrics.learning(1):
            await eraser.settle(delivery)
        await source.ack(delivery.tag)
        self._stats.count_acknowledged(1)

    async def _process(self, batch: Sequence[Delivery]) -> list[Event]:
        """Learn or park every delivery of the batch, however long the database is away.

        The result are the events that were not known before.
        """
        try:
            events, rejected = self._read(batch)
            return await self._commit_in_time(events, rejected)
        except Exception as error:
            # Whatever it is, it must neither stop the queue nor be lost.
            log.exception("a batch of %d cannot be learned", len(batch))
            if len(batch) == 1:
                return await self._commit_in_time([], [not_learnable(batch[0], error)])
            return [event for delivery in batch for event in await self._process([delivery])]

    async def _commit_in_time(
        self, events: Sequence[Event], rejected: Sequence[Rejected]
    ) -> list[Event]:
        """Commit; while the database is away, try again."""
        pause, longest = PAUSE
        while True:
            try:
                return await self._commit(events, rejected)
            except DatabaseUnavailable as outage:
                log.warning("learning waits %.1f s for the database: %s", pause, outage)
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    def _read(self, batch: Sequence[Delivery]) -> tuple[list[Event], list[Rejected]]:
        events: list[Event] = []
        rejected: list[Rejected] = []
        for delivery in batch:
            try:
                events.append(read(delivery, self._settings.max_message_bytes))
            except Unprocessable as why:
                rejected.append(Rejected(delivery, why))
        return events, rejected

    async def _commit(self, events: Sequence[Event], rejected: Sequence[Rejected]) -> list[Event]:
        async with self._replica.learning:
            async with self._database.write() as connection:
                learned = await learn(self._database, connection, events)
                await park(connection, rejected)
            self._replica.note(learned, self._evaluator.observer_within_budget())
        return list(learned.fresh)
