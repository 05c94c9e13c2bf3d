"""The topology, declared on a RabbitMQ."""

from typing import Final

from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel
from pamqp.commands import Queue as Commands
from pamqp.common import FieldTable
from typing_extensions import override

from shared.broker.rabbitmq.connection import passing_channel
from shared.broker.topology import DEFAULT, USER_HEADER, Exchange, Queue

QUORUM: Final[FieldTable] = {
    "x-queue-type": "quorum",
    # A full queue says no to the publisher, whose outbox keeps the message. Dropping the oldest
    # one would lose it, and switch dead-lettering back to "at most once".
    "x-overflow": "reject-publish",
}

BY_USER: Final[FieldTable] = {"hash-header": USER_HEADER}

LAST_DECLARED: Final = ""  # the queue that was declared last on the channel


class DeclareByAnyName(Commands.Declare):
    """Declares a queue whose name pamqp would refuse: it does not know that `*` is allowed."""

    @override
    def validate(self) -> None:
        """Leave it to RabbitMQ."""


async def declare_exchange(connection: AbstractConnection, exchange: Exchange) -> None:
    """Declare the exchange, on a channel of its own: a refusal closes the channel."""
    async with passing_channel(connection) as channel:
        await _declare_exchange(channel, exchange)


async def declare_queue(connection: AbstractConnection, queue: Queue) -> None:
    """Declare the queue with its exchange and its binding, its parking queue first."""
    async with passing_channel(connection) as channel:
        await declare(channel, queue)
        await bind(channel, queue)


async def declare(channel: Channel, queue: Queue) -> None:
    """Declare the queue, where it parks, and the exchange that it can be bound to."""
    if queue.parking is not None:
        await declare(channel, queue.parking)
        await bind(channel, queue.parking)
    await _declare_exchange(channel, queue.exchange)
    arguments = queue_arguments(queue)
    await channel.rpc(DeclareByAnyName(queue=queue.name, durable=True, arguments=arguments))


async def bind(channel: Channel, queue: Queue) -> None:
    """Let the queue, which is declared, receive messages."""
    if queue.exchange != DEFAULT:
        await find_queue(channel, queue.name)
        await channel.queue_bind(LAST_DECLARED, queue.exchange.name, queue.binding_key)


async def unbind(channel: Channel, queue: Queue) -> None:
    """Let the queue receive no more messages, if it does; it keeps those that it has."""
    await find_queue(channel, queue.name)
    await channel.queue_unbind(LAST_DECLARED, queue.exchange.name, queue.binding_key)


async def find_queue(channel: Channel, name: str) -> Commands.DeclareOk:
    """Return how full the queue is. It must exist, and is `LAST_DECLARED` from now on."""
    return await channel.rpc(DeclareByAnyName(queue=name, passive=True))


async def _declare_exchange(channel: Channel, exchange: Exchange) -> None:
    if exchange != DEFAULT:
        arguments = BY_USER if exchange.type == "x-consistent-hash" else None
        await channel.exchange_declare(
            exchange.name, exchange_type=exchange.type, durable=True, arguments=arguments
        )


def queue_arguments(queue: Queue) -> FieldTable:
    """Return the arguments that make losing a message impossible, whatever policies say."""
    arguments = QUORUM.copy()
    if queue.delivery_limit is not None:
        arguments["x-delivery-limit"] = queue.delivery_limit
    if queue.parking is not None:
        arguments["x-dead-letter-exchange"] = queue.parking.exchange.name
        arguments["x-dead-letter-routing-key"] = queue.parking.binding_key
        arguments["x-dead-letter-strategy"] = "at-least-once"
    if queue.single_active_consumer:
        arguments["x-single-active-consumer"] = True
    return arguments
