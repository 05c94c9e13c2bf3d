"""Consume erasures: erase users, and confirm it to the consumption service.

The confirmation is published between the commit and the acknowledgement. If that is interrupted,
the delivery comes again, changes nothing, and is confirmed again.
"""

import logging
from functools import partial

from recommendation_service.consume.parse import parse_erasure
from recommendation_service.event import Unprocessable
from recommendation_service.learn.erase import erase
from recommendation_service.learn.parked_messages import RejectedDelivery, not_learnable, park
from recommendation_service.replicate.model_replica import ModelReplica
from shared.broker.interface import (
    Broker,
    BrokerError,
    BrokerUnavailable,
    Delivery,
    Message,
    PublishOutcome,
)
from shared.broker.topology import ERASURE
from shared.clock import utc_now
from shared.database.database import Database
from shared.database.retry import retry_while_unavailable
from shared.events import ERASURE_DONE, SCHEMA_VERSION, ErasureDone, UserErased

log = logging.getLogger(__name__)


class ErasureHandler:
    """Handles the deliveries that erase users, one at a time."""

    def __init__(
        self, max_bytes: int, database: Database, replica: ModelReplica, broker: Broker
    ) -> None:
        self._max_bytes = max_bytes
        self._database = database
        self._replica = replica
        self._broker = broker

    async def handle(self, delivery: Delivery) -> None:
        """Erase the user, or park the delivery, however long the database is away.

        Raises `BrokerError` where the erasure could not be confirmed: the delivery has to come
        again.
        """
        try:
            await self.erase(delivery)
        except BrokerError:
            raise
        except Unprocessable as reason:
            await self._park(RejectedDelivery(delivery, reason))
        except Exception as error:
            # It must neither stop the queue nor be lost.
            log.exception("a user cannot be erased")
            await self._park(not_learnable(delivery, error))

    async def erase(self, delivery: Delivery) -> None:
        """Erase the user in the database and in the model of this process, and confirm it."""
        erasure = parse_erasure(delivery, self._max_bytes)
        await retry_while_unavailable(partial(erase, self._database, erasure), "erasing")
        await retry_while_unavailable(self._replica.catch_up, "erasing")
        await self._confirm(erasure)

    async def _park(self, rejected: RejectedDelivery) -> None:
        async def commit() -> None:
            async with self._database.write() as connection:
                await park(connection, [rejected])

        await retry_while_unavailable(commit, "parking")

    async def _confirm(self, erasure: UserErased) -> None:
        now = utc_now()
        done = ErasureDone(erasure_id=erasure.erasure_id, user_id=erasure.user_id, done_at=now)
        message = Message(
            message_id=str(erasure.erasure_id),
            routing_key=ERASURE_DONE,
            body=done.model_dump_json().encode(),
            type=f"{ERASURE.name}.{ERASURE_DONE}",
            timestamp=now,
            headers={"x-schema-version": SCHEMA_VERSION},
        )
        async with self._broker.publisher(ERASURE) as publisher:
            [outcome] = await publisher.publish([message])
        if outcome is not PublishOutcome.CONFIRMED:
            raise BrokerUnavailable(f"the confirmation of an erasure is {outcome.value}")
