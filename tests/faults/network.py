"""A network between a service and the broker, with everything that networks do wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

CHUNK: Final = 65_536  # bytes


@dataclass
class Direction:
    """One way through the network."""

    delay: float = 0.0  # seconds that each piece takes longer
    bytes_left: int | None = None  # until the connection is cut; None: never
    flowing: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.flowing.set()

    def is_torn(self) -> bool:
        """Tell whether the connection was cut after the last bytes that were left."""
        return self.bytes_left is None

    async def let_through(self, piece: bytes) -> bytes:
        """Return what of the piece arrives, when it does; less than all of it is the last."""
        await self.flowing.wait()
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.bytes_left is None:
            return piece
        piece = piece[: self.bytes_left]
        self.bytes_left -= len(piece)
        return piece


class Network:
    """Passes bytes on, both ways, as well as it is told to."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._port = 0
        self.accepted = 0  # connections so far
        self.to_broker = Direction()
        self.from_broker = Direction()

    @property
    def url(self) -> str:
        """The broker's URL, through this network; a peer that is silent is noticed early."""
        account = self._target.netloc.rpartition("@")[0]
        netloc = f"{account}@127.0.0.1:{self._port}"
        return urlunsplit(self._target._replace(netloc=netloc, query="heartbeat=2"))

    async def open(self) -> None:
        """Accept connections, again on the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Refuse new connections, and reset those that there are."""
        if self._server is not None:
            self._server.close()
        self.reset()

    def reset(self) -> None:
        """Reset all connections."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        host, port = self._target.hostname, self._target.port
        with suppress(OSError):  # the broker is away: so are we
            upstream = await asyncio.open_connection(host, port)
            self._writers |= {writer, upstream[1]}
            await asyncio.gather(
                self._pass(reader, upstream[1], self.to_broker),
                self._pass(upstream[0], writer, self.from_broker),
            )
        writer.close()

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: Direction
    ) -> None:
        try:
            while piece := await source.read(CHUNK):
                arrived = await way.let_through(piece)
                sink.write(arrived)
                await sink.drain()
                if len(arrived) < len(piece):
                    way.bytes_left = None
                    self.reset()
        except ConnectionError:
            pass  # it was cut, which is what we are for
        finally:
            sink.close()


@asynccontextmanager
async def networks(target: str, count: int) -> AsyncIterator[list[Network]]:
    """Open networks for the length of the block."""
    opened = [Network(target) for _ in range(count)]
    async with AsyncExitStack() as stack:
        for network in opened:
            await network.open()
            stack.callback(_end, network)
        yield opened


def _end(network: Network) -> None:
    network.refuse()
    for way in (network.to_broker, network.from_broker):
        way.flowing.set()
