"""A network between us and RabbitMQ that can be cut, or fall silent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from yarl import URL

CHUNK: Final = 65_536  # bytes
HEARTBEAT: Final = 600  # seconds, so that what is noticed within a test is noticed otherwise


class Proxy:
    """Passes bytes on, both ways, while it is told to."""

    def __init__(self, target: URL) -> None:
        self._target = target
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.url = ""

    def freeze(self) -> None:
        """Let nothing through any more, and nobody know."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Let everything through again, what was held back first."""
        self._flowing.set()

    def cut(self) -> None:
        """Reset all connections."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect to the target, and pass on until one side ends."""
        upstream = await asyncio.open_connection(self._target.host, self._target.port)
        self._writers |= {writer, upstream[1]}
        await asyncio.gather(self._pass(reader, upstream[1]), self._pass(upstream[0], writer))

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while chunk := await source.read(CHUNK):
                await self._flowing.wait()
                sink.write(chunk)
                await sink.drain()
        except ConnectionError:
            pass  # it was cut, which is what we are for
        finally:
            sink.close()


@asynccontextmanager
async def proxied(amqp_url: str) -> AsyncIterator[Proxy]:
    """Listen on a free port of this machine for the length of the block."""
    target = URL(amqp_url)
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    proxy.url = str(target.with_port(port).update_query(heartbeat=HEARTBEAT))
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        proxy.thaw()
