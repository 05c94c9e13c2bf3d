"""Refusing a request on uvicorn's connections: a problem document, in its turn, that arrives.

Closing a connection while bytes of the client's are unread takes the answer along with it. So what
the client still sends is read and forgotten, until it has gone or a moment has passed.
"""

import asyncio
from typing import ClassVar, Final

from fastapi import Response
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from shared.problems import problem

LINGER: Final = 2.0  # seconds that a refused client has to take its answer and go
MAX_LINGERING: Final = 1000

NOT_HTTP: Final = problem(400, "Bad Request", "This is not HTTP/1.1 as RFC 9112 defines it.")


class LingeringClose(asyncio.Protocol):
    """What hears a connection that nobody listens to any more."""

    lingering: ClassVar[set["LingeringClose"]] = set()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lingering.discard(self)


class RefusingProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with problem documents for what never becomes a request."""

    receiving = False  # a request has begun, and not ended

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.receiving = True

    @override
    def on_message_complete(self) -> None:
        self.receiving = False
        super().on_message_complete()

    @override
    def send_400_response(self, msg: str) -> None:
        self.refuse(NOT_HTTP)

    def is_answering(self) -> bool:
        """Tell whether the application is at work for this client."""
        cycle = self._last()
        return cycle is not None and not cycle.response_complete

    def refuse(self, answer: Response) -> None:
        """Give this answer to the request that is arriving, after those to earlier ones."""
        last = self._last()
        arriving = last if self.receiving and last and last.scope is self.scope else None
        if self.is_answering() and not arriving:
            self._stop_after_answers()  # an answer here would be taken for that to an earlier one
        elif self.pipeline:
            self.pipeline[0] = (self.cycle, answer)  # type: ignore[assignment]  # ASGI too
            self.receiving = False  # what is still to come of it is not heard
            self._stop_after_answers()
        else:
            self.let_go(None if arriving and arriving.response_started else answer)

    def let_go(self, answer: Response | None) -> None:
        """Answer at once, read no more, and close."""
        if self in self.connections:
            self.flow.resume_reading()  # else nobody hears that the client has gone
        self.transport.set_protocol(farewell := LingeringClose())
        self.connection_lost(ConnectionAbortedError())  # so the application hears of it
        if answer:
            self.transport.write(self._raw(answer))
        if len(LingeringClose.lingering) < MAX_LINGERING:
            LingeringClose.lingering.add(farewell)
            self.transport.write_eof()
            self.loop.call_later(LINGER, self.transport.abort)
        else:
            self.transport.close()

    def _last(self) -> RequestResponseCycle | None:
        """Return the request whose head came last; uvicorn's type leaves out that there is none."""
        return self.cycle

    def _stop_after_answers(self) -> None:
        self.cycle.keep_alive = False
        self.flow.pause_reading()

    def _raw(self, answer: Response) -> bytes:
        headers = [*self.server_state.default_headers, *answer.raw_headers]
        head = b"".join(b"%b: %b\r\n" % header for header in headers)
        status = STATUS_LINE[answer.status_code]
        return b"%b%bconnection: close\r\n\r\n%b" % (status, head, bytes(answer.body))
