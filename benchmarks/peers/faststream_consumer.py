"""FastStream as a consumer: one transaction for each message, acknowledged after it."""

import os

import uvloop
from faststream import FastStream
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.peers.learning import learning
from benchmarks.peers.rows import PREFETCH, QUEUE
from shared.events import WatchEvent

URL = os.environ["RECOMMENDATION_DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")

broker = RabbitBroker(
    os.environ["AMQP_URL"], default_channel=Channel(prefetch_count=PREFETCH), logger=None
)
engine = create_async_engine(URL)


@broker.subscriber(RabbitQueue(QUEUE, queue_type=QueueType.QUORUM, declare=False))
async def learn(event: WatchEvent) -> None:
    """Learn one watch."""
    async with engine.begin() as connection:
        await connection.execute(learning(event))


if __name__ == "__main__":
    uvloop.run(FastStream(broker, logger=None).run())
