"""Requests: each is counted, and has an id that its answer and its log lines carry."""

import re
import secrets
import time
from collections.abc import Awaitable, Iterable
from itertools import count
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.process.logs import request_id
from shared.process.metrics import RequestSeconds

HEADER: Final = b"x-request-id"
SOUND: Final = re.compile(rb"[\w.:-]{1,64}", re.ASCII)

_process: Final = secrets.token_hex(6)
_numbers: Final = count(1)


class RequestMiddleware:
    """ASGI middleware: an answer counts when it begins, so that a stream does as well."""

    def __init__(self, app: ASGIApp, seconds: RequestSeconds) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, answered, identity = time.perf_counter(), False, request_id_of(scope["headers"])
        request_id.set(identity.decode())  # of this request's task, which ends with it

        def send_observed(message: Message) -> Awaitable[None]:
            nonlocal answered
            if not answered and message["type"] == "http.response.start":
                answered = True
                message["headers"] = [*message["headers"], (HEADER, identity)]
                self._seconds.observe(scope, message["status"], time.perf_counter() - began)
            return send(message)

        try:
            await self._app(scope, receive, send_observed)
        except Exception:
            if not answered:  # Starlette answers it, outside
                self._seconds.observe(scope, 500, time.perf_counter() - began)
            raise


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the id that the client gave the request, or one of our own."""
    for name, value in headers:
        if name == HEADER and SOUND.fullmatch(value):
            return bytes(value)
    return b"%b-%d" % (_process.encode(), next(_numbers))
