"""Refusals: an error response after the responses to earlier requests, then a lingering close.

Closing a connection with unread bytes resets it, and the client loses the response. So the
connection reads and discards them until the client closes it or the linger time has passed.
"""

from typing import Final

from fastapi import Response
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from shared.http.uvicorn_protocol.lingering import LINGER, MAX_LINGERING, LingeringClose
from shared.problems import problem

NOT_HTTP: Final = problem(400, "Bad Request", "This is not HTTP/1.1 as RFC 9112 defines it.")


class RefusingProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which answers malformed requests with problem documents."""

    receiving = False  # a request has started to arrive, and has not ended

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
        """Tell whether a response to this client is due."""
        cycle = self._last_cycle()
        return cycle is not None and not cycle.response_complete

    def refuse(self, answer: Response) -> None:
        """Send this response to the request that is arriving, after those to earlier requests."""
        last = self._last_cycle()
        arriving = last if self.receiving and last and last.scope is self.scope else None
        if self.is_answering() and not arriving:
            self._stop_after_answers()  # a response here would be taken for that to an earlier one
        elif self.pipeline:
            self.pipeline[0] = (self.cycle, answer)  # type: ignore[assignment]  # ASGI too
            self.receiving = False  # ignore the rest of the request
            self._stop_after_answers()
        else:
            self.close_with(None if arriving and arriving.response_started else answer)

    def close_with(self, answer: Response | None) -> None:
        """Send the response at once, stop reading requests, and close."""
        if self in self.connections:
            self.flow.resume_reading()  # a paused transport does not notice that the client closes
        self.transport.set_protocol(lingering := LingeringClose())
        self.connection_lost(ConnectionAbortedError())  # tells the application
        if answer:
            self.transport.write(self._serialized_refusal(answer))
        if len(LingeringClose.lingering) < MAX_LINGERING:
            LingeringClose.lingering.add(lingering)
            self.transport.write_eof()
            self.loop.call_later(LINGER, self.transport.abort)
        else:
            self.transport.close()

    def _last_cycle(self) -> RequestResponseCycle | None:
        """Return the last request with a complete head; uvicorn's type omits that there is none."""
        return self.cycle

    def _stop_after_answers(self) -> None:
        self.cycle.keep_alive = False
        self.flow.pause_reading()

    def _serialized_refusal(self, answer: Response) -> bytes:
        headers = [*self.server_state.default_headers, *answer.raw_headers]
        head = b"".join(b"%b: %b\r\n" % header for header in headers)
        status = STATUS_LINE[answer.status_code]
        return b"%b%bconnection: close\r\n\r\n%b" % (status, head, bytes(answer.body))
