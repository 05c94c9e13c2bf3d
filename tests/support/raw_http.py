"""HTTP byte by byte, over a real socket: what a well-behaved client cannot send."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

PATIENCE: Final = 100.0  # seconds for an answer, and for the end of a connection
PROBLEM: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to one request."""

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes

    def json(self) -> Any:
        """The body, as data."""
        return json.loads(self.body)


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send the bytes, as far as somebody takes them."""
        with suppress(ConnectionError):
            self.writer.write(data)
            await asyncio.wait_for(self.writer.drain(), PATIENCE)

    async def answer(self) -> Answer:
        """Return the next answer."""
        async with asyncio.timeout(PATIENCE):
            lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().splitlines()[:-1]
            pairs = (line.split(": ", 1) for line in lines[1:])
            headers = {name.lower(): value for name, value in pairs}
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(lines[0].split()[1]), headers, body)

    async def is_closed(self) -> bool:
        """Wait until the server closes the connection, and tell whether it did so silently."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self._reader.read(1) == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Client]:
    """Connect to the server at this address."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def post(body: bytes, *headers: bytes, length: int | str | None = None) -> bytes:
    """A POST of a watch, with this Content-Length, by default the right one."""
    announced = len(body) if length is None else length
    return with_headers(*headers, b"Content-Length: %b" % str(announced).encode()) + body


def post_chunks(chunks: bytes, *headers: bytes) -> bytes:
    """A POST of a watch in chunks; the caller writes the chunks."""
    return with_headers(*headers, b"Transfer-Encoding: chunked") + chunks


def with_headers(*headers: bytes) -> bytes:
    """The head of a POST of a watch."""
    usual = (b"POST /watches HTTP/1.1", b"Host: localhost", b"Content-Type: application/json")
    return b"\r\n".join((*usual, *headers, b"", b""))
