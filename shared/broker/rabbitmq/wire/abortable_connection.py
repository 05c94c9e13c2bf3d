"""A connection that can be dropped at once.

Closing one waits until the last byte is sent, and cannot be cancelled meanwhile. With a broker that
no longer reads, that takes for ever and keeps the process from ending.

It relies on aio-pika 10.2: `Connection.kwargs` are what aiormq's connection is created with.
"""

import asyncio
from typing import Any

from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from typing_extensions import override
from yarl import URL

from shared.broker.rabbitmq.wire.fallback import PlainConnection

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class AbortableConnection(PlainConnection):
    """A connection that knows its socket."""

    def __init__(self, url: URL, factory: TransportFactory | None = None, **options: Any) -> None:
        """`factory` opens the socket; by default the one that fits the URL."""
        super().__init__(url, **options)
        by_scheme = TLSTransportFactory if url.scheme == "amqps" else TCPTransportFactory
        self._abortable = AbortableTransportFactory(factory or by_scheme())
        self.kwargs["transport_factory"] = self._abortable

    @override
    def abort(self) -> None:
        """Drop the socket with all that was not sent; harmless when it is closed already."""
        self._abortable.abort()


class AbortableTransportFactory(TransportFactory):
    """Opens the socket as another factory does, and keeps it."""

    def __init__(self, factory: TransportFactory) -> None:
        self._factory = factory
        self._writer: asyncio.StreamWriter | None = None

    @override
    async def create(self, url: URL, **options: Any) -> Streams:
        reader, self._writer = await self._factory.create(url, **options)
        return reader, self._writer

    def abort(self) -> None:
        """Drop the socket, if it was opened."""
        if self._writer is not None:
            self._writer.transport.abort()
