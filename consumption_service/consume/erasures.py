"""Receipts: note that the recommendation service has erased a user, too.

Its message may come again; the first time stays. One that is about no erasure we know of is
rejected: the broker parks it for whoever wants to look.
"""

import asyncio
import logging
from typing import Final

from pydantic import ValidationError
from sqlalchemy import func, update

from consumption_service.tables import erasures
from shared.broker.interface import Broker, BrokerError, Delivery, Subscription
from shared.broker.topology import CONSUMPTION_ERASURE, CONSUMPTION_ERASURE_PARKED
from shared.database.database import Database, DatabaseUnavailable
from shared.events import ERASURE_DONE, ErasureDone

log = logging.getLogger(__name__)

PREFETCH: Final = 10
DELAY: Final = 1.0  # seconds until the broker, or the database, is tried again


class Receipts:
    """Completes receipts from the queue `consumption.erasure.*`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.trouble: str | None = "is not connected yet"

    async def run(self, broker: Broker) -> None:
        """Consume for ever, reconnecting as needed."""
        while True:
            try:
                async with broker.subscription(CONSUMPTION_ERASURE, PREFETCH) as source:
                    self.trouble = None
                    await self._consume(source)
            except BrokerError as error:
                log.warning("receipts stay as they are: %s", error)
                self.trouble = str(error)
            except Exception:
                # Nobody would start this loop again; what was not acknowledged comes again.
                log.exception("completing receipts failed, and begins anew")
                self.trouble = "failed, see the log"
            await asyncio.sleep(DELAY)

    async def _consume(self, source: Subscription) -> None:
        while True:
            for delivery in await source.receive(PREFETCH):
                if await self._complete(delivery):
                    await source.ack(delivery.tag)
                else:
                    name = CONSUMPTION_ERASURE_PARKED.name
                    log.error("about no erasure, goes to %s: %r", name, delivery.body[:1000])
                    await source.reject(delivery.tag)

    async def _complete(self, delivery: Delivery) -> bool:
        """Return whether the message is about an erasure, however long the database is away."""
        if delivery.routing_key != ERASURE_DONE:
            return False
        try:
            done = ErasureDone.model_validate_json(delivery.body)
        except ValidationError:
            return False
        while True:
            try:
                return await self._note(done)
            except DatabaseUnavailable as outage:
                log.warning("receipts wait for the database: %s", outage)
            await asyncio.sleep(DELAY)

    async def _note(self, done: ErasureDone) -> bool:
        first = func.coalesce(erasures.c.recommendation_done_at, done.done_at)
        meant = (erasures.c.id == done.erasure_id) & (erasures.c.user_id == done.user_id)
        change = update(erasures).where(meant).values(recommendation_done_at=first)
        async with self._database.write() as connection:
            return (await connection.execute(change)).rowcount == 1
