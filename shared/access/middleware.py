"""The gate: every request passes it first, whatever route it is for.

It is middleware and not a dependency of the routes, so a route can neither forget it nor, by going
a short way of its own, get round it.
"""

from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.access.guard import Guard
from shared.errors import ServiceError
from shared.problems import answer_to

# What a browser may do with an answer: show it, to nobody else, as what it says it is. Pages, which
# may do more, say so themselves (`shared/http/pages.py`).
POLICY: Final = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
SECURITY_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", POLICY),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class AccessMiddleware:
    """ASGI middleware: let through what the guard admits, with the caller in the scope."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        send_safely = sending_safely(send)
        try:
            scope["caller"] = await self._guard.admit(scope)
        except ServiceError as refusal:
            await answer_to(refusal)(scope, receive, send_safely)
            return
        await self._app(scope, receive, send_safely)


def sending_safely(send: Send) -> Send:
    """Return what sends an answer with the headers that keep it safe in a browser."""

    async def send_safely(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = _with_security(message.get("headers", ()))
        await send(message)

    return send_safely


def _with_security(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Add the headers that the answer does not have by itself."""
    given = list(headers)
    names = {name.lower() for name, _ in given}
    return given + [header for header in SECURITY_HEADERS if header[0] not in names]
