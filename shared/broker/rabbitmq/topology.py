"""Declare the topology on RabbitMQ."""

from typing import Final

from aiormq.channel import Channel
from pamqp.commands import Queue as Commands
from pamqp.common import FieldTable

from shared.broker.rabbitmq.connection import temporary_channel
from shared.broker.rabbitmq.wire import DeclareByAnyName, PlainConnection
from shared.broker.topology import DEFAULT, USER_HEADER, Exchange, Queue

QUORUM: Final[FieldTable] = {
    "x-queue-type": "quorum",
    # A full queue refuses the message, which the publisher's outbox keeps. Dropping the oldest
    # message would lose it, and switch dead-lettering back to "at most once".
    "x-overflow": "reject-publish",
}

BY_USER: Final[FieldTable] = {"hash-header": USER_HEADER}

LAST_DECLARED: Final = ""  # the queue that was declared last on the channel


async def declare_exchange(connection: PlainConnection, exchange: Exchange) -> None:
    """Declare the exchange on a channel of its own: a refusal closes the channel."""
    async with temporary_channel(connection) as channel:
        await _declare_exchange(channel, exchange)


async def declare_queue(connection: PlainConnection, queue: Queue) -> None:
    """Declare the queue with its exchange and its binding, its parking queue first."""
    async with temporary_channel(connection) as channel:
        await declare(channel, queue)
        await bind(channel, queue)


async def declare(channel: Channel, queue: Queue) -> None:
    """Declare the queue, its parking queue, and the exchange that it can be bound to."""
    if queue.parking is not None:
        await declare(channel, queue.parking)
        await bind(channel, queue.parking)
    await _declare_exchange(channel, queue.exchange)
    arguments = queue_arguments(queue)
    await channel.rpc(DeclareByAnyName(queue=queue.name, durable=True, arguments=arguments))


async def bind(channel: Channel, queue: Queue) -> None:
    """Bind the queue, which is declared, to its exchange."""
    if queue.exchange != DEFAULT:
        await find_queue(channel, queue.name)
        await channel.queue_bind(LAST_DECLARED, queue.exchange.name, queue.binding_key)


async def unbind(channel: Channel, queue: Queue) -> None:
    """Unbind the queue from its exchange if it is bound; it keeps the messages that it has."""
    await find_queue(channel, queue.name)
    await channel.queue_unbind(LAST_DECLARED, queue.exchange.name, queue.binding_key)


async def find_queue(channel: Channel, name: str) -> Commands.DeclareOk:
    """Return the counts of the queue. It must exist, and is `LAST_DECLARED` from now on."""
    return await channel.rpc(DeclareByAnyName(queue=name, passive=True))


async def _declare_exchange(channel: Channel, exchange: Exchange) -> None:
    if exchange != DEFAULT:
        arguments = BY_USER if exchange.type == "x-consistent-hash" else None
        await channel.exchange_declare(
            exchange.name, exchange_type=exchange.type, durable=True, arguments=arguments
        )


def queue_arguments(queue: Queue) -> FieldTable:
    """Return the arguments by which no message can be lost, whatever policies say."""
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
