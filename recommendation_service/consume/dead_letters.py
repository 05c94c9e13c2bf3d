"""Dead letters: what the broker gave up is taken from its parking queues into the table."""

import asyncio
import logging
from typing import Final

from recommendation_service.learn.parked import dead_lettered, park
from shared.broker.interface import Broker, BrokerError
from shared.broker.topology import Exchange, Queue
from shared.database.database import Database, DatabaseUnavailable

log = logging.getLogger(__name__)

RECONNECT_DELAY: Final = 1.0  # seconds


async def collect_dead_letters(
    broker: Broker, database: Database, queue: Queue, exchange: Exchange
) -> None:
    """Take what the broker put into a parking queue, for ever. It was sent to the exchange once."""
    while True:
        try:
            async with broker.subscription(queue, prefetch=10) as source:
                while True:
                    deliveries = await source.receive(10)
                    rejected = [dead_lettered(one) for one in deliveries]
                    async with database.write() as connection:
                        await park(connection, rejected, exchange)
                    await source.ack_up_to(deliveries[-1].tag)
        except (BrokerError, DatabaseUnavailable) as outage:
            log.warning("dead letters wait in the parking queue: %s", outage)
        except Exception:
            log.exception("dead letters wait in the parking queue")
        await asyncio.sleep(RECONNECT_DELAY)
