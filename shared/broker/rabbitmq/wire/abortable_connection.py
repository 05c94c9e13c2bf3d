"""An aio-pika connection that can be dropped at once.

Closing one waits until the last byte is sent, and while it does it cannot be cancelled: with a
broker that does not read any more that takes for ever, and keeps the process from ending.
"""

import asyncio
from typing import Any

from aio_pika import Connection
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from typing_extensions import override
from yarl import URL

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class AbortableConnection(Connection):
    """A connection that knows its socket."""

    def __init__(self, url: URL, **options: Any) -> None:
        super().__init__(url, **options)
        self._wire = Wire(TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory())
        self.kwargs["transport_factory"] = self._wire

    def cut(self) -> None:
        """Drop the socket with all that was not sent; harmless when it is closed already."""
        self._wire.cut()

    @override
    def __del__(self) -> None:
        """Leave nothing to the collector of garbage: who opens a connection closes and cuts it.

        aio-pika would say goodbye here, also for a connection that never came about, in whatever
        loop there is then; where there is none, Python warns of a `close` that nobody awaited.
        """


class Wire(TransportFactory):
    """Opens the socket as aiormq would, and remembers it."""

    def __init__(self, opener: TransportFactory) -> None:
        self._opener = opener
        self._writer: asyncio.StreamWriter | None = None

    @override
    async def create(self, url: URL, **options: Any) -> Streams:
        reader, self._writer = await self._opener.create(url, **options)
        return reader, self._writer

    def cut(self) -> None:
        """Drop the socket, if it was opened."""
        if self._writer is not None:
            self._writer.transport.abort()
