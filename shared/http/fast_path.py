"""Direct: requests that a connection hands to their handler itself, past the application.

What a server and a framework do around a handler costs several times what some of them do. So a
request that arrives in one piece is offered to a handler as it was parsed, with its body. What is
unusual about it is left to the application, which gets it unchanged, and says what is wrong. The
guard is asked, the request counted and named, and the answer secured as they are there.
"""

import asyncio
import logging
from functools import partial
from re import Pattern
from time import perf_counter
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from starlette.types import Receive, Scope, Send
from typing_extensions import override
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from shared.access.caller import Caller
from shared.access.guard import Guard
from shared.access.middleware import SECURITY_HEADERS, sending_safely
from shared.errors import ServiceError
from shared.http.refuse import RefusingProtocol
from shared.http.request_ids import HEADER, RequestMiddleware, request_id_of
from shared.problems import BUG, answer_to, problem
from shared.process.metrics import RequestSeconds
from shared.process.tracing import is_on

log = logging.getLogger(__name__)

SECURED: Final = b"".join(b"%b: %b\r\n" % header for header in SECURITY_HEADERS)
ABOUT: Final = SECURED + HEADER + b": %b\r\ncontent-length: %d\r\n"
CLOSE: Final = b"connection: close\r\n"


class Answer(NamedTuple):
    """What a handler answers; `headers` are lines, each with its end."""

    status: int
    headers: bytes
    body: bytes


class Handler(Protocol):
    """Takes the plain requests of one kind, and answers them as the application would."""

    line: Pattern[bytes]  # what they begin with: the method and the target
    path: str  # by which they are counted

    def parse(self, scope: Scope, body: bytes) -> Any | None:
        """Return what is asked for, or None to leave the request to the application."""

    def start(self, asked: Any, caller: Caller) -> asyncio.Future[Any]:
        """Begin to do it, or raise the `ServiceError` that the application would answer with."""

    def respond(self, outcome: Any) -> Answer:
        """Return the answer for what came of it, or raise what is wrong."""


class FastPath:
    """The handlers of an application, and what stands in front of them as of its routes."""

    def __init__(self, guard: Guard, seconds: RequestSeconds) -> None:
        self._guard = guard
        self.seconds = seconds
        self._handlers: list[Handler] = []

    def add(self, handler: Handler) -> None:
        """Let the handler take requests, unless they are traced, which the application does."""
        if not is_on():
            self._handlers.append(handler)

    def handler_of(self, line: bytes) -> Handler | None:
        """Return who takes requests that begin with this line."""
        return next((one for one in self._handlers if one.line.fullmatch(line)), None)

    def start(self, handler: Handler, scope: Scope, body: bytes) -> asyncio.Future[Any] | None:
        """Begin to do what is asked for; return None to leave it to the application."""
        asked = handler.parse(scope, body)
        if asked is None:
            return None
        try:
            caller = self._guard.admit_known(scope)
        except ServiceError:
            return None  # the application finds the same, and answers it
        return _begun(handler, asked, caller) if caller else None


def _begun(handler: Handler, asked: Any, caller: Caller) -> asyncio.Future[Any]:
    try:
        return handler.start(asked, caller)
    except ServiceError as error:  # the request was counted, and must not be counted again
        refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        refused.set_exception(error)
        return refused


class FastPathProtocol(RefusingProtocol):
    """A connection that offers requests to handlers."""

    direct: ClassVar[FastPath]

    _held: tuple[Handler, ASGI3Application] | None = None  # for when the request has arrived

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        whole = app is self.app and cycle is self.cycle  # else it is a refusal, or had to wait
        if whole and self.receiving and not self.flow.write_paused:
            line = b"%b %b" % (self.parser.get_method(), self.url)
            if handler := self.direct.handler_of(line):
                self._held = (handler, app)
                return
        super()._start_asgi_task(cycle, app)

    @override
    def on_message_complete(self) -> None:
        super().on_message_complete()
        if not self._held:
            return
        (handler, _), cycle, began = self._held, self.cycle, perf_counter()
        scope: Scope = cycle.scope  # type: ignore[assignment]  # the same, by another name
        doing = self.direct.start(handler, scope, bytes(cycle.body))
        if doing is None:
            self.release()
            return
        self._held = None
        scope["route"] = handler  # whose path it is counted by, as FastAPI does it
        doing.add_done_callback(partial(self._answer, cycle, handler, began))

    def release(self) -> None:
        """Start the application on what is held."""
        if self._held:
            _, app = self._held
            self._held = None
            super()._start_asgi_task(self.cycle, app)

    def _answer(
        self,
        cycle: RequestResponseCycle,
        handler: Handler,
        began: float,
        done: asyncio.Future[Any],
    ) -> None:
        try:
            answer = handler.respond(done.result())
        except Exception as error:  # noqa: BLE001 - it is the client's, or logged
            super()._start_asgi_task(cycle, self._failed(error))
            return
        if cycle.disconnected:
            return
        self.transport.write(self._lines(answer, cycle))
        cycle.response_started = cycle.response_complete = True
        self.direct.seconds.observe(cycle.scope, answer.status, perf_counter() - began)
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _lines(self, answer: Answer, cycle: RequestResponseCycle) -> bytes:
        return b"".join(
            (
                STATUS_LINE[answer.status],
                *(b"%b: %b\r\n" % header for header in self.server_state.default_headers),
                answer.headers,
                ABOUT % (request_id_of(cycle.scope["headers"]), len(answer.body)),
                b"" if cycle.keep_alive else CLOSE,
                b"\r\n",
                answer.body,
            )
        )

    def _failed(self, error: Exception) -> Any:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if isinstance(error, ServiceError):
                response = answer_to(error)
            else:
                log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
                response = problem(*BUG)
            await response(scope, receive, sending_safely(send))

        return RequestMiddleware(answer, self.direct.seconds)
