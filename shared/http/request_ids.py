"""Request ids: in each response and its log lines; each request is also counted and timed."""

import re
import secrets
import time
from collections.abc import Awaitable, Iterable
from itertools import count
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.process.logs import request_id
from shared.process.metrics import RequestSeconds

REQUEST_ID_HEADER: Final = b"x-request-id"
VALID_ID: Final = re.compile(rb"[\w.:-]{1,64}", re.ASCII)

_process_prefix: Final = secrets.token_hex(6)
_counter: Final = count(1)


class RequestMiddleware:
    """ASGI middleware: observes a response when it begins, so that streams are counted too."""

    def __init__(self, app: ASGIApp, seconds: RequestSeconds) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, answered, identifier = time.perf_counter(), False, request_id_of(scope["headers"])
        request_id.set(identifier.decode())  # in the context of this request's task

        def send_observed(message: Message) -> Awaitable[None]:
            nonlocal answered
            if not answered and message["type"] == "http.response.start":
                answered = True
                message["headers"] = [*message["headers"], (REQUEST_ID_HEADER, identifier)]
                self._seconds.observe(scope, message["status"], time.perf_counter() - began)
            return send(message)

        try:
            await self._app(scope, receive, send_observed)
        except Exception:
            if not answered:  # Starlette answers with 500, outside of this middleware
                self._seconds.observe(scope, 500, time.perf_counter() - began)
            raise


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the client's id if it is valid, or a generated one."""
    for name, value in headers:
        if name == REQUEST_ID_HEADER and VALID_ID.fullmatch(value):
            return bytes(value)
    return b"%b-%d" % (_process_prefix.encode(), next(_counter))
