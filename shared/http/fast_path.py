"""Fast path: a connection hands a plain request to its handler, and bypasses the application.

A server and a framework cost several times what some handlers cost. So a request that arrives in
one read is passed to a handler, parsed and with its body. A request that is unusual in any way goes
to the application unchanged, which also reports errors in it. On both paths the guard admits the
request, the request is counted and has an id, and the response has the security headers.
"""

import asyncio
from collections.abc import Callable
from re import Pattern
from typing import Any, NamedTuple, Protocol, TypeVar

from starlette.types import Scope

from shared.access.caller import Caller
from shared.errors import ServiceError
from shared.process.metrics import RequestSeconds
from shared.process.tracing import is_tracing

Q = TypeVar("Q")  # a request, parsed
A = TypeVar("A")  # its outcome


class Answer(NamedTuple):
    """A response; `headers` are lines, each with its end."""

    status: int
    headers: bytes
    body: bytes


class FastPathHandler(Protocol[Q, A]):
    """Takes the plain requests of one route, and answers them as the application would."""

    line: Pattern[bytes]  # matches the method and the target
    path: str  # the route's template, by which requests are counted

    def parse(self, scope: Scope, body: bytes) -> Q | None:
        """Return the parsed request, or None to leave it to the application."""

    def start(self, asked: Q, caller: Caller) -> asyncio.Future[A]:
        """Start the work, or raise the `ServiceError` that the application would answer with."""

    def respond(self, outcome: A) -> Answer:
        """Return the response for this outcome, or raise the error that it is."""


AnyHandler = FastPathHandler[Any, Any]  # handlers of different types are in one list


class FastPath:
    """The fast path's handlers of one application, behind the same guard as its routes."""

    def __init__(self, admit: Callable[[Scope], Caller | None], seconds: RequestSeconds) -> None:
        self._admit = admit
        self.seconds = seconds
        self._handlers: list[AnyHandler] = []

    def add(self, handler: AnyHandler) -> None:
        """Add the handler, unless requests are traced: only the application traces them."""
        if not is_tracing():
            self._handlers.append(handler)

    def handler_of(self, line: bytes) -> AnyHandler | None:
        """Return the handler for requests with this method and target."""
        return next((one for one in self._handlers if one.line.fullmatch(line)), None)

    def start(
        self, handler: FastPathHandler[Q, A], scope: Scope, body: bytes
    ) -> asyncio.Future[A] | None:
        """Start the work; return None to leave the request to the application."""
        asked = handler.parse(scope, body)
        if asked is None:
            return None
        try:
            caller = self._admit(scope)
        except ServiceError:
            return None  # the application finds the same, and answers it
        return _started(handler, asked, caller) if caller else None


def _started(handler: FastPathHandler[Q, A], asked: Q, caller: Caller) -> asyncio.Future[A]:
    try:
        return handler.start(asked, caller)
    except ServiceError as error:  # the request was counted, and must not be counted again
        failed: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        failed.set_exception(error)
        return failed
