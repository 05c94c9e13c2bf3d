"""Dead letters: move messages from the parking queues of the broker into the table `parked`."""

from functools import partial
from typing import Final

from recommendation_service.learn.parked_messages import dead_lettered, park
from shared.broker.interface import Broker, Subscription
from shared.broker.reconnect import ConnectionStatus, keep_connected
from shared.broker.topology import Exchange, Queue
from shared.database.database import Database

PREFETCH: Final = 10


async def collect_dead_letters(
    broker: Broker, database: Database, queue: Queue, exchange: Exchange
) -> None:
    """Park everything from a parking queue, for ever; `exchange` is where it was published.

    An outage of the database ends the subscription. Parking is not idempotent, so a batch must not
    wait here while the broker may deliver it again.
    """

    async def consume(source: Subscription) -> None:
        while True:
            deliveries = await source.receive(PREFETCH)
            async with database.write() as connection:
                await park(connection, [dead_lettered(one) for one in deliveries], exchange)
            await source.ack_up_to(deliveries[-1].tag)

    status = ConnectionStatus(f"collecting dead letters of {exchange.name}")
    await keep_connected(status, partial(broker.subscription, queue, PREFETCH), consume)
