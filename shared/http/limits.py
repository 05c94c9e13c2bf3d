"""One client's connection, within limits that uvicorn leaves to a proxy.

Bounded are the bytes of a request's head, the time that a request takes to arrive and an answer to
be taken, the requests sent ahead, and the connections.
"""

import asyncio
from typing import ClassVar, Final

import httptools
from typing_extensions import override

from shared.errors import Unavailable
from shared.http.fast_path import FastPath, FastPathProtocol
from shared.http.refuse import NOT_HTTP
from shared.problems import problem
from shared.process.settings import SharedSettings

MAX_HEADERS: Final = 100  # of a request; each costs more memory than its bytes
MAX_CLOCK_LEAD: Final = (
    100  # requests sent before their predecessors are answered; each costs memory
)

TOO_SLOW: Final = problem(408, "Request Timeout", "The request did not arrive in time.")
TOO_LARGE: Final = problem(
    431, "Request Header Fields Too Large", "The request line and the headers are too long."
)
TOO_MANY: Final = problem(
    503,
    Unavailable.title,
    "All connections are taken. Try again later.",
    headers=Unavailable.headers,
)


def protocol_within(settings: SharedSettings, direct: FastPath) -> type[asyncio.Protocol]:
    """Return what a server makes of each connection to keep to these settings."""
    return type("Connection", (Connection,), {"settings": settings, "direct": direct})


class Connection(FastPathProtocol):
    """A connection, from its first byte to its last."""

    settings: ClassVar[SharedSettings]

    _refusal = NOT_HTTP  # the answer to what the parser gives up on
    _head = 0  # bytes of the request line, the headers and the trailers
    _unparsed = 0  # bytes that came since the last header or piece of a body
    _deadline: asyncio.TimerHandle | None = None  # for the rest of a request
    _stalled: asyncio.TimerHandle | None = None  # for the client to take what was answered

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self.settings.max_connections:
            self.transport = transport
            self.let_go(TOO_MANY)
            return
        super().connection_made(transport)
        self._rest()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._deadline, self._stalled):
            if timer:
                timer.cancel()

    @override
    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._unparsed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.refuse(self._refusal)
        else:
            if self._unparsed > self.settings.max_header_bytes:
                self.refuse(TOO_LARGE)
                return
            self.release()
            if not self._deadline and (self.receiving or not self.is_answering()):
                self._await_rest()

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0

    @override
    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + len(b": \r\n"))
        super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # `_decline_upgrade` comes next
        if len(self.pipeline) >= MAX_CLOCK_LEAD:
            raise ValueError
        super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._unparsed = 0
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
        super().on_message_complete()

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._rest()  # closing waits for the client to take the answer; not for ever

    @override
    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()  # an answer that is still here will not be taken

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.settings.request_timeout, self.transport.abort)

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()

    def _rest(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _await_rest(self) -> None:
        self._deadline = self.loop.call_later(self.settings.request_timeout, self._out_of_time)

    def _out_of_time(self) -> None:
        if self.flow.read_paused:  # it is us who are slow
            self._await_rest()
        elif self.receiving:
            self.refuse(TOO_SLOW)
        else:
            self.transport.abort()

    def _count(self, size: int) -> None:
        self._unparsed = 0
        self._head += size
        if self._head > self.settings.max_header_bytes or len(self.headers) >= MAX_HEADERS:
            self._refusal = TOO_LARGE
            raise ValueError

    def _decline_upgrade(self, rest: bytes) -> None:
        """Read the request again without the upgrade, for which the parser skips its body."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.refuse(NOT_HTTP)
            return
        head = [b"%b %b HTTP/1.1\r\n" % (method, self.url)]
        head += [b"%b: %b\r\n" % one for one in self.headers if one[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join([*head, b"\r\n", rest]))
