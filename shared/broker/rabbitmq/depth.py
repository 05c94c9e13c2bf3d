"""How deep a queue is, asked often and cheaply over a connection that is kept."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from aio_pika.abc import AbstractConnection
from aiormq.exceptions import ChannelNotFoundEntity

from shared.broker.interface import BrokerError, Depth
from shared.broker.rabbitmq.connection import connected, explained, parsed, passing_channel
from shared.broker.rabbitmq.topology import find_queue
from shared.broker.rabbitmq.wire.abortable_connection import AbortableConnection

ANSWER_TIMEOUT: Final = 5.0  # seconds
NO_SUCH_QUEUE: Final = "NOT_FOUND - no queue"  # other texts mean that its home is down


class DepthGauge:
    """Looks at queues without declaring them; one that nobody declared yet is empty."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._turn = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._connection: AbstractConnection | None = None

    async def read(self, queue: str) -> Depth:
        """Return the depth, connecting first when needed."""
        async with self._turn:
            try:
                return await self._read(queue)
            except BrokerError:
                await self._disconnect()
                raise

    async def _read(self, queue: str) -> Depth:
        connection = await self._connected()
        with explained(parsed(self._url)):
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await _look(connection, queue)

    async def _connected(self) -> AbstractConnection:
        if self._connection is None:
            opened = connected(parsed(self._url), "upnext observing", AbortableConnection)
            self._connection = await self._stack.enter_async_context(opened)
        return self._connection

    async def _disconnect(self) -> None:
        self._connection = None
        await self._stack.aclose()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        async with self._turn:
            await self._disconnect()


async def _look(connection: AbstractConnection, queue: str) -> Depth:
    """Ask over a channel of its own: the broker closes it over a queue that does not exist."""
    try:
        async with passing_channel(connection) as channel:
            found = await find_queue(channel, queue)
    except ChannelNotFoundEntity as error:
        if NO_SUCH_QUEUE not in str(error):
            raise
        return Depth(ready=0, consumers=0)
    return Depth(ready=found.message_count or 0, consumers=found.consumer_count or 0)
