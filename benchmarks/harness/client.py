"""HTTP client: keep-alive connections on the event loop, at a low cost for each request.

It does what wrk cannot: requests that do not wait for answers, or that depend on them.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Answer:
    """The status and the body."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Client:
    """Sends to one server, over as many connections as there are requests under way."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80
        self._idle: deque[_Connection] = deque()

    async def get(self, path: str) -> Answer:
        """Send a GET request."""
        return await self._send(f"GET {path} HTTP/1.1\r\nhost: {self._host}\r\n\r\n".encode())

    async def post(self, path: str, body: object) -> Answer:
        """Send an object as JSON in a POST request."""
        content = json.dumps(body)
        return await self._send(
            f"POST {path} HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(content)}\r\n\r\n{content}".encode()
        )

    def close(self) -> None:
        """Close the connections that are idle."""
        while self._idle:
            self._idle.popleft().close()

    async def _send(self, request: bytes) -> Answer:
        connection = self._alive() or await self._connected()
        answer = await connection.send(request)
        self._idle.append(connection)
        return answer

    def _alive(self) -> "_Connection | None":
        """Return an idle connection that the server has not closed."""
        while self._idle:
            if (connection := self._idle.pop()).is_open:
                return connection
        return None

    async def _connected(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port)
        return connection


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """Open a client for the length of the block."""
    client = Client(url)
    try:
        yield client
    finally:
        client.close()
        await asyncio.sleep(0)  # the loop closes the sockets


class _Connection(asyncio.Protocol):
    """One request at a time; every answer must say its length."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[Answer] | None = None

    @property
    def is_open(self) -> bool:
        """Whether something can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def send(self, request: bytes) -> Answer:
        """Send, and wait for the answer."""
        if self._transport is None:
            raise ConnectionError("there is no connection yet")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    @override
    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if end and self._answer and len(body) >= _length(head):
            self._received = b""
            self._answer.set_result(Answer(int(head[9:12]), body))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server hung up"))

    def close(self) -> None:
        """Close the connection."""
        if self._transport:
            self._transport.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
