"""Consume lessons: keep the catalogue up to date with the messages on the exchange `lesson`."""

from collections.abc import Sequence
from functools import partial

from recommendation_service.consume.batches import acknowledge, process_batch
from recommendation_service.consume.parse_lesson import parse_lesson
from recommendation_service.consume.poison import isolate, may_be_poison, receive_rest
from recommendation_service.learn.lessons import LessonState, upsert_lessons
from recommendation_service.learn.parked_messages import RejectedDelivery, park
from recommendation_service.replicate.model_replica import ModelReplica
from recommendation_service.settings import RecommendationSettings
from shared.broker.interface import Broker, Delivery, Subscription
from shared.broker.reconnect import ConnectionStatus, keep_connected
from shared.broker.topology import LESSON, RECOMMENDATION_LESSON
from shared.database.database import Database
from shared.process.background import finish_before_cancel


class LessonConsumer:
    """Upserts lessons from the queue `recommendation.lesson.*`."""

    def __init__(
        self, settings: RecommendationSettings, database: Database, replica: ModelReplica
    ) -> None:
        self._settings = settings
        self._database = database
        self._replica = replica
        self.status = ConnectionStatus("consuming lessons")

    async def run(self, broker: Broker) -> None:
        """Consume for ever, reconnecting as needed."""
        connect = partial(broker.subscription, RECOMMENDATION_LESSON, self._settings.prefetch)
        await keep_connected(self.status, connect, self._consume)

    async def _consume(self, source: Subscription) -> None:
        while True:
            deliveries = await source.receive(self._settings.batch_size)
            if any(map(may_be_poison, deliveries)):
                await receive_rest(source, deliveries, self._settings.prefetch)
            batches = isolate(deliveries)
            for batch in batches:
                ack_multiple = len(batches) == 1
                await finish_before_cancel(self._settle(source, batch, ack_multiple=ack_multiple))

    async def _settle(
        self, source: Subscription, batch: Sequence[Delivery], *, ack_multiple: bool
    ) -> None:
        parse = partial(parse_lesson, max_bytes=self._settings.max_message_bytes)
        await process_batch(batch, parse, self._commit, "consuming lessons")
        await acknowledge(source, batch, ack_multiple=ack_multiple)

    async def _commit(
        self, states: Sequence[LessonState], rejected: Sequence[RejectedDelivery]
    ) -> Sequence[LessonState]:
        """Upsert and park in one transaction, then bring the catalogue of this process up to it."""
        async with self._database.write() as connection:
            if states:
                await upsert_lessons(self._database, connection, states)
            await park(connection, rejected, LESSON)
        await self._replica.catalogue.catch_up()
        return states
