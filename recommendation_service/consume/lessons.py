"""Consume lessons: keep the catalogue as the messages on the exchange `lesson` say.

As with watches, the commit comes before the acknowledgement, and what can never be processed is
parked in the same transaction.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from functools import partial
from typing import Final

from recommendation_service.consume.parse_lesson import read_lesson
from recommendation_service.consume.poison import apart, gather, is_suspicious
from recommendation_service.event import Unprocessable
from recommendation_service.learn.lessons import LessonState, describe
from recommendation_service.learn.parked import Rejected, not_learnable, park
from recommendation_service.replicate.model import ModelReplica
from recommendation_service.settings import RecommendationSettings
from shared.broker.interface import Broker, BrokerError, Delivery, Subscription
from shared.broker.topology import LESSON, RECOMMENDATION_LESSON
from shared.database.database import Database
from shared.database.retry import retry_while_unavailable
from shared.process.background import finish_before_cancel

log = logging.getLogger(__name__)

RECONNECT_DELAY: Final = 1.0  # seconds, on average


class LessonConsumer:
    """Learns from the queue `recommendation.lesson.*`."""

    def __init__(
        self, settings: RecommendationSettings, database: Database, replica: ModelReplica
    ) -> None:
        self._settings = settings
        self._database = database
        self._replica = replica
        self.attempted = asyncio.Event()  # the broker was reached, or was found to be away

    async def run(self, broker: Broker) -> None:
        """Consume for ever, reconnecting as needed."""
        queue, prefetch = RECOMMENDATION_LESSON, self._settings.prefetch
        while True:
            try:
                async with broker.subscription(queue, prefetch) as source:
                    self.attempted.set()
                    await self._consume(source)
            except BrokerError as error:
                log.warning("not consuming lessons: %s", error)
            except Exception:
                # Nobody would start this loop again; what was not acknowledged comes again.
                log.exception("consuming lessons failed, and begins anew")
            self.attempted.set()
            await asyncio.sleep(RECONNECT_DELAY * random.uniform(0.5, 1.5))  # noqa: S311

    async def _consume(self, source: Subscription) -> None:
        while True:
            deliveries = await source.receive(self._settings.batch_size)
            if any(map(is_suspicious, deliveries)):
                await gather(source, deliveries, self._settings.prefetch)
            for batch in (batches := apart(deliveries)):
                await finish_before_cancel(self._settle(source, batch, alone=len(batches) == 1))

    async def _settle(
        self, source: Subscription, batch: Sequence[Delivery], *, alone: bool
    ) -> None:
        await self._process(batch)
        if alone:
            await source.ack_up_to(batch[-1].tag)
        else:
            for delivery in batch:
                await source.ack(delivery.tag)

    async def _process(self, batch: Sequence[Delivery]) -> None:
        """Store or park every delivery of the batch, however long the database is away."""
        try:
            states, rejected = self._read(batch)
            await retry_while_unavailable(partial(self._commit, states, rejected), "describing")
        except Exception as error:
            # Whatever it is, it must neither stop the queue nor be lost.
            log.exception("a batch of %d lessons cannot be stored", len(batch))
            if len(batch) == 1:
                wrong = [not_learnable(batch[0], error)]
                await retry_while_unavailable(partial(self._commit, [], wrong), "parking")
                return
            for delivery in batch:
                await self._process([delivery])

    def _read(self, batch: Sequence[Delivery]) -> tuple[list[LessonState], list[Rejected]]:
        states: list[LessonState] = []
        rejected: list[Rejected] = []
        for delivery in batch:
            try:
                states.append(read_lesson(delivery, self._settings.max_message_bytes))
            except Unprocessable as why:
                rejected.append(Rejected(delivery, why))
        return states, rejected

    async def _commit(self, states: Sequence[LessonState], rejected: Sequence[Rejected]) -> None:
        async with self._database.write() as connection:
            if states:
                await describe(self._database, connection, states)
            await park(connection, rejected, LESSON)
        await self._replica.catalogue.catch_up()
