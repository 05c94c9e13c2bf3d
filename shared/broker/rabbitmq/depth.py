"""The depth of queues, read over one connection that stays open."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from aiormq.exceptions import ChannelNotFoundEntity

from shared.broker.interface import BrokerError, Depth
from shared.broker.rabbitmq.connection import (
    connected,
    parse_url,
    temporary_channel,
    translated_errors,
)
from shared.broker.rabbitmq.topology import find_queue
from shared.broker.rabbitmq.wire import PlainConnection

ANSWER_TIMEOUT: Final = 5.0  # seconds
NO_SUCH_QUEUE: Final = "NOT_FOUND - no queue"  # other texts mean that its node is down


class QueueDepthReader:
    """Reads queues without declaring them; one that is not declared is empty."""

    def __init__(self, url: str, kind: type[PlainConnection]) -> None:
        self._url = url
        self._kind = kind
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._connection: PlainConnection | None = None

    async def read(self, queue: str) -> Depth:
        """Return the depth, connecting first when needed."""
        async with self._lock:
            try:
                return await self._read(queue)
            except BrokerError:
                await self._disconnect()
                raise

    async def _read(self, queue: str) -> Depth:
        connection = await self._connected()
        with translated_errors(parse_url(self._url)):
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await _read_depth(connection, queue)

    async def _connected(self) -> PlainConnection:
        if self._connection is None:
            opened = connected(parse_url(self._url), "upnext observing", self._kind)
            self._connection = await self._stack.enter_async_context(opened)
        return self._connection

    async def _disconnect(self) -> None:
        self._connection = None
        await self._stack.aclose()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        async with self._lock:
            await self._disconnect()


async def _read_depth(connection: PlainConnection, queue: str) -> Depth:
    """Read on a channel of its own: the broker closes it over a queue that does not exist."""
    try:
        async with temporary_channel(connection) as channel:
            found = await find_queue(channel, queue)
    except ChannelNotFoundEntity as error:
        if NO_SUCH_QUEUE not in str(error):
            raise
        return Depth(ready=0, consumers=0)
    return Depth(ready=found.message_count or 0, consumers=found.consumer_count or 0)
