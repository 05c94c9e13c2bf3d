"""A network between a service and a server, with everything that networks do wrong."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from tests.faults.system import Places, Ways

CHUNK: Final = 65_536  # bytes


@dataclass
class Direction:
    """One way through the network."""

    delay: float = 0.0  # seconds that each piece takes longer
    bytes_left: int | None = None  # until the connection is cut; None: never
    bytes_free: int | None = None  # until all that follows is held up; None: never
    flowing: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.flowing.set()

    def is_torn(self) -> bool:
        """Tell whether the connection was cut after the last bytes that were left."""
        return self.bytes_left is None

    async def let_through(self, piece: bytes) -> bytes:
        """Return what of the piece arrives, when it does; less than all of it is the last."""
        await self.flowing.wait()
        if self.bytes_free is not None:
            self.bytes_free -= len(piece)
            if self.bytes_free <= 0:
                self.flowing.clear()
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.bytes_left is None:
            return piece
        piece = piece[: self.bytes_left]
        self.bytes_left -= len(piece)
        return piece


class Network:
    """Passes bytes on, both ways, as well as it is told to."""

    def __init__(self, *targets: str) -> None:
        """Lead to the server; or, like a load balancer, to the servers in turn."""
        self._targets = deque(urlsplit(target) for target in targets)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._port = 0
        self.accepted = 0  # connections so far
        self.to_server = Direction()
        self.from_server = Direction()

    @property
    def url(self) -> str:
        """The server's URL, through this network; a broker that is silent is noticed early."""
        target = self._targets[0]
        account = "".join(target.netloc.rpartition("@")[:2])
        query = "heartbeat=4" if target.scheme == "amqp" else target.query
        return urlunsplit(target._replace(netloc=f"{account}127.0.0.1:{self._port}", query=query))

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
        target = self._targets[0]
        self._targets.rotate(-1)
        with suppress(OSError):  # the server is away: so are we
            upstream = await asyncio.open_connection(target.hostname, target.port)
            self._writers |= {writer, upstream[1]}
            await asyncio.gather(
                self._pass(reader, upstream[1], self.to_server),
                self._pass(upstream[0], writer, self.from_server),
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

    def heal(self) -> None:
        """Let everything through again, and reset what the trouble left behind."""
        self.reset()
        for way in (self.to_server, self.from_server):
            way.delay = 0.0
            way.bytes_left = way.bytes_free = None
            way.flowing.set()


@asynccontextmanager
async def network(*targets: str) -> AsyncIterator[Network]:
    """Open a network for the length of the block."""
    opened = Network(*targets)
    await opened.open()
    try:
        yield opened
    finally:
        opened.refuse()
        opened.heal()


@dataclass(frozen=True, slots=True)
class Wires:
    """Every way that there is between two parts."""

    publishing: Network  # from the consumption service to the broker
    consuming: Network  # from the recommendation service to the broker
    recording: Network  # from the consumption service to its database
    learning: Network  # from the recommendation service to its database

    @property
    def ways(self) -> Ways:
        """The addresses for the services."""
        urls = (self.publishing.url, self.consuming.url, self.recording.url, self.learning.url)
        return Ways(*urls)


@asynccontextmanager
async def wiring(places: Places) -> AsyncIterator[Wires]:
    """Open all ways for the length of the block."""
    async with (
        network(places.amqp) as publishing,
        network(places.amqp) as consuming,
        network(places.consumption_database) as recording,
        network(places.recommendation_database) as learning,
    ):
        yield Wires(publishing, consuming, recording, learning)
