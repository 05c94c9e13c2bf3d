"""The topology, declared on a RabbitMQ."""

from typing import Final

from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel
from pamqp.commands import Queue as Commands
from pamqp.common import FieldTable
from typing_extensions import override

from shared.broker.rabbitmq_connection import passing_channel
from shared.broker.topology import DEFAULT, Exchange, Queue

QUORUM: Final[FieldTable] = {
    "x-queue-type": "quorum",
    # A full queue says no to the publisher, whose outbox keeps the message. Dropping the oldest
    # one would lose it, and switch dead-lettering back to "at most once".
    "x-overflow": "reject-publish",
}

LAST_DECLARED: Final = ""  # the queue that was declared last on the channel


class DeclareByAnyName(Commands.Declare):
    """Declares a queue whose name pamqp would refuse: it does not know that `*` is allowed."""

    @override
    def validate(self) -> None:
        """Leave it to RabbitMQ."""


async def declare_exchange(connection: AbstractConnection, exchange: Exchange) -> None:
    """Declare the exchange, on a channel of its own: a refusal closes the channel."""
    async with passing_channel(connection) as channel:
        await _exchange(channel, exchange)


async def declare_queue(connection: AbstractConnection, queue: Queue) -> None:
    """Declare the queue with its exchange and its binding, its parking queue first."""
    async with passing_channel(connection) as channel:
        if queue.parking is not None:
            await _queue(channel, queue.parking)
        await _queue(channel, queue)


async def find_queue(channel: Channel, name: str) -> Commands.DeclareOk:
    """Return how full the queue is. It must exist, and is `LAST_DECLARED` from now on."""
    return await channel.rpc(DeclareByAnyName(queue=name, passive=True))


async def _exchange(channel: Channel, exchange: Exchange) -> None:
    if exchange != DEFAULT:
        await channel.exchange_declare(exchange.name, exchange_type=exchange.type, durable=True)


async def _queue(channel: Channel, queue: Queue) -> None:
    await _exchange(channel, queue.exchange)
    arguments = queue_arguments(queue)
    await channel.rpc(DeclareByAnyName(queue=queue.name, durable=True, arguments=arguments))
    if queue.exchange != DEFAULT:
        await channel.queue_bind(LAST_DECLARED, queue.exchange.name, queue.binding_key)


def queue_arguments(queue: Queue) -> FieldTable:
    """Return the arguments that make losing a message impossible, whatever policies say."""
    arguments = QUORUM.copy()
    if queue.delivery_limit is not None:
        arguments["x-delivery-limit"] = queue.delivery_limit
    if queue.parking is not None:
        arguments["x-dead-letter-exchange"] = queue.parking.exchange.name
        arguments["x-dead-letter-routing-key"] = queue.parking.binding_key
        arguments["x-dead-letter-strategy"] = "at-least-once"
    return arguments
