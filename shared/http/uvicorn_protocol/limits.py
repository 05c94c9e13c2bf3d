"""Limits of each connection, which uvicorn leaves to a proxy.

Limited are the bytes of a request's head, the time for a request to arrive, the time for the client
to read a response, the pipelined requests, and the number of connections.
"""

import asyncio
from typing import ClassVar, Final

import httptools
from typing_extensions import override

from shared.errors import Unavailable
from shared.http.uvicorn_protocol.fast_path import FastPathProtocol
from shared.http.uvicorn_protocol.refuse import NOT_HTTP
from shared.problems import problem
from shared.process.settings import SharedSettings

MAX_HEADERS: Final = 100  # of a request; each costs more memory than its bytes
MAX_PIPELINED: Final = 100  # requests that wait for responses to earlier ones, in memory

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


class LimitedProtocol(FastPathProtocol):
    """A connection with limits, from its first byte to its last."""

    settings: ClassVar[SharedSettings]

    _refusal = NOT_HTTP  # the response when the parser raises an error
    _head_bytes = 0  # of the request line, the headers and the trailers
    _unparsed_bytes = 0  # received since the last header or piece of a body
    _request_timer: asyncio.TimerHandle | None = None  # for the rest of a request to arrive
    _write_timer: asyncio.TimerHandle | None = None  # for the client to read the response

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self.settings.max_connections:
            self.transport = transport
            self.close_with(TOO_MANY)
            return
        super().connection_made(transport)
        self._start_keep_alive_timer()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._request_timer, self._write_timer):
            if timer:
                timer.cancel()

    @override
    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._unparsed_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.refuse(self._refusal)
        else:
            if self._unparsed_bytes > self.settings.max_header_bytes:
                self.refuse(TOO_LARGE)
                return
            self.start_application()
            if not self._request_timer and (self.receiving or not self.is_answering()):
                self._start_request_timer()

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0

    @override
    def on_url(self, url: bytes) -> None:
        self._count_head_bytes(len(url))
        super().on_url(url)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head_bytes(len(name) + len(value) + len(b": \r\n"))
        super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # `_decline_upgrade` comes next
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError
        super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        self._unparsed_bytes = 0
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._unparsed_bytes = 0
        if self._request_timer:
            self._request_timer.cancel()
            self._request_timer = None
        super().on_message_complete()

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._start_keep_alive_timer()  # for the client to read the response

    @override
    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()  # the client does not read the response

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(
            self.settings.request_timeout, self.transport.abort
        )

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer:
            self._write_timer.cancel()

    def _start_keep_alive_timer(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _start_request_timer(self) -> None:
        self._request_timer = self.loop.call_later(
            self.settings.request_timeout, self._on_request_timeout
        )

    def _on_request_timeout(self) -> None:
        if self.flow.read_paused:  # the service is slow, not the client
            self._start_request_timer()
        elif self.receiving:
            self.refuse(TOO_SLOW)
        else:
            self.transport.abort()

    def _count_head_bytes(self, size: int) -> None:
        self._unparsed_bytes = 0
        self._head_bytes += size
        if self._head_bytes > self.settings.max_header_bytes or len(self.headers) >= MAX_HEADERS:
            self._refusal = TOO_LARGE
            raise ValueError

    def _decline_upgrade(self, rest: bytes) -> None:
        """Parse the request again without its upgrade: with it the parser skips the body."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.refuse(NOT_HTTP)
            return
        head = [b"%b %b HTTP/1.1\r\n" % (method, self.url)]
        head += [b"%b: %b\r\n" % one for one in self.headers if one[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join([*head, b"\r\n", rest]))
