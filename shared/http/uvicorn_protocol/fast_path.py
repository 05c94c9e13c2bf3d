"""Fast path of a connection: offer each plain request to a handler, else start the application."""

import asyncio
import logging
from functools import partial
from time import perf_counter
from typing import Any, ClassVar, Final

from starlette.types import Receive, Scope, Send
from typing_extensions import override
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from shared.access.middleware import SECURITY_HEADERS, with_security_headers
from shared.errors import ServiceError
from shared.http.fast_path import Answer, AnyHandler, FastPath
from shared.http.request_ids import REQUEST_ID_HEADER, RequestMiddleware, request_id_of
from shared.http.uvicorn_protocol.refuse import RefusingProtocol
from shared.problems import BUG, answer_to, problem

log = logging.getLogger(__name__)

SECURITY_LINES: Final = b"".join(b"%b: %b\r\n" % header for header in SECURITY_HEADERS)
COMMON_LINES: Final = SECURITY_LINES + REQUEST_ID_HEADER + b": %b\r\ncontent-length: %d\r\n"
CLOSE_LINE: Final = b"connection: close\r\n"


class FastPathProtocol(RefusingProtocol):
    """A connection that offers requests to handlers."""

    fast_path: ClassVar[FastPath]

    # A request whose head has arrived and whose body may still arrive in the same read.
    _pending: tuple[AnyHandler, ASGI3Application] | None = None

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        is_current = app is self.app and cycle is self.cycle  # else refused, or pipelined
        if is_current and self.receiving and not self.flow.write_paused:
            line = b"%b %b" % (self.parser.get_method(), self.url)
            if handler := self.fast_path.handler_of(line):
                self._pending = (handler, app)
                return
        super()._start_asgi_task(cycle, app)

    @override
    def on_message_complete(self) -> None:
        super().on_message_complete()
        if not self._pending:
            return
        (handler, _), cycle, began = self._pending, self.cycle, perf_counter()
        scope: Scope = cycle.scope  # type: ignore[assignment]  # the same, by another name
        outcome = self.fast_path.start(handler, scope, bytes(cycle.body))
        if outcome is None:
            self.start_application()
            return
        self._pending = None
        scope["route"] = handler  # the metrics read its path, as of FastAPI's routes
        outcome.add_done_callback(partial(self._respond, cycle, handler, began))

    def start_application(self) -> None:
        """Leave the pending request, if there is one, to the application."""
        if self._pending:
            _, app = self._pending
            self._pending = None
            super()._start_asgi_task(self.cycle, app)

    def _respond(
        self,
        cycle: RequestResponseCycle,
        handler: AnyHandler,
        began: float,
        outcome: asyncio.Future[Any],
    ) -> None:
        try:
            answer = handler.respond(outcome.result())
        except Exception as error:  # noqa: BLE001 - it is the client's, or logged
            super()._start_asgi_task(cycle, self._error_app(error))
            return
        if cycle.disconnected:
            return
        self.transport.write(self._serialized(answer, cycle))
        cycle.response_started = cycle.response_complete = True
        self.fast_path.seconds.observe(cycle.scope, answer.status, perf_counter() - began)
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _serialized(self, answer: Answer, cycle: RequestResponseCycle) -> bytes:
        return b"".join(
            (
                STATUS_LINE[answer.status],
                *(b"%b: %b\r\n" % header for header in self.server_state.default_headers),
                answer.headers,
                COMMON_LINES % (request_id_of(cycle.scope["headers"]), len(answer.body)),
                b"" if cycle.keep_alive else CLOSE_LINE,
                b"\r\n",
                answer.body,
            )
        )

    def _error_app(self, error: Exception) -> Any:
        """Return an application that answers with this error."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if isinstance(error, ServiceError):
                response = answer_to(error)
            else:
                log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
                response = problem(*BUG)
            await response(scope, receive, with_security_headers(send))

        return RequestMiddleware(answer, self.fast_path.seconds)
