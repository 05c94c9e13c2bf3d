"""Choose the broker: RabbitMQ if there is a URL, else the one inside the process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.broker.in_process import InProcessBroker
from shared.broker.interface import Broker
from shared.broker.rabbitmq.broker import RabbitMQ


@asynccontextmanager
async def open_broker(amqp_url: str | None) -> AsyncIterator[Broker]:
    """Yield the broker, which connects when it is used; close it at the end."""
    if amqp_url is None:
        yield InProcessBroker()
        return
    broker = RabbitMQ(amqp_url)
    try:
        yield broker
    finally:
        await broker.close()
