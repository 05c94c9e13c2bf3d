"""Consume `erasure.done`: store when the recommendation service has erased a user, too.

A repeated message changes nothing: the first time is kept. A message about an unknown erasure is
rejected, and the broker parks it.
"""

import logging
from functools import partial
from typing import Final

from pydantic import ValidationError
from sqlalchemy import func, update

from consumption_service.tables import erasures
from shared.broker.interface import Broker, Delivery, Subscription
from shared.broker.reconnect import ConnectionStatus, keep_connected
from shared.broker.topology import CONSUMPTION_ERASURE, CONSUMPTION_ERASURE_PARKED
from shared.database.database import Database
from shared.database.retry import retry_while_unavailable
from shared.events import ERASURE_DONE, ErasureDone

log = logging.getLogger(__name__)

PREFETCH: Final = 10
UNKNOWN: Final = f"%r of %d bytes is about no erasure, goes to {CONSUMPTION_ERASURE_PARKED.name}"


class ErasureDoneConsumer:
    """Completes receipts from the queue `consumption.erasure.*`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.status = ConnectionStatus("completing receipts")

    async def run(self, broker: Broker) -> None:
        """Consume for ever, reconnecting as needed."""
        connect = partial(broker.subscription, CONSUMPTION_ERASURE, PREFETCH)
        await keep_connected(self.status, connect, self._consume)

    async def _consume(self, source: Subscription) -> None:
        while True:
            for delivery in await source.receive(PREFETCH):
                if await self._complete(delivery):
                    await source.ack(delivery.tag)
                else:
                    log.error(UNKNOWN, delivery.message_id, len(delivery.body))
                    await source.reject(delivery.tag)

    async def _complete(self, delivery: Delivery) -> bool:
        """Return whether the message is about a known erasure; wait for the database if needed."""
        if delivery.routing_key != ERASURE_DONE:
            return False
        try:
            done = ErasureDone.model_validate_json(delivery.body)
        except ValidationError:
            return False
        return await retry_while_unavailable(partial(self._store, done), "completing a receipt")

    async def _store(self, done: ErasureDone) -> bool:
        first = func.coalesce(erasures.c.recommendation_done_at, done.done_at)
        is_meant = (erasures.c.id == done.erasure_id) & (erasures.c.user_id == done.user_id)
        change = update(erasures).where(is_meant).values(recommendation_done_at=first)
        async with self._database.write() as connection:
            return (await connection.execute(change)).rowcount == 1
