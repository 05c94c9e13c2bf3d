"""Dead letters: move messages from the parking queues of the broker into the table `parked`."""

from functools import partial
from typing import Final

from recommendation_service.learn.parked_messages import Rejected, dead_lettered, park
from shared.broker.interface import Broker, Subscription
from shared.broker.reconnect import Link, keep_connected
from shared.broker.topology import Exchange, Queue
from shared.database.database import Database
from shared.database.retry import retry_while_unavailable

PREFETCH: Final = 10


async def collect_dead_letters(
    broker: Broker, database: Database, queue: Queue, exchange: Exchange
) -> None:
    """Park everything from a parking queue, for ever; `exchange` is where it was published."""

    async def commit(rejected: list[Rejected]) -> None:
        async with database.write() as connection:
            await park(connection, rejected, exchange)

    async def consume(source: Subscription) -> None:
        while True:
            deliveries = await source.receive(PREFETCH)
            rejected = [dead_lettered(one) for one in deliveries]
            await retry_while_unavailable(partial(commit, rejected), "parking dead letters")
            await source.ack_up_to(deliveries[-1].tag)

    link = Link(f"collecting dead letters of {exchange.name}")
    await keep_connected(link, partial(broker.subscription, queue, PREFETCH), consume)
