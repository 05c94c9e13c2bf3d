"""Access middleware: authenticates and authorizes every request before its route.

As middleware, not as a dependency of the routes, it can neither be forgotten nor bypassed by one.
"""

from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.access.guard import Guard
from shared.errors import ServiceError
from shared.problems import answer_to

# With these headers a browser runs no script of a response, does not frame or cache it, and keeps
# its content type. Pages send other headers (`shared/http/pages.py`).
POLICY: Final = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
SECURITY_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", POLICY),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class AccessMiddleware:
    """ASGI middleware: pass on the requests that the guard admits, with the caller in the scope."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        send_secured = with_security_headers(send)
        try:
            scope["caller"] = await self._guard.admit(scope)
        except ServiceError as refusal:
            await answer_to(refusal)(scope, receive, send_secured)
            return
        await self._app(scope, receive, send_secured)


def with_security_headers(send: Send) -> Send:
    """Return `send` with the security headers that the answer does not have by itself."""

    async def send_secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = _completed(message.get("headers", ()))
        await send(message)

    return send_secured


def _completed(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    given = list(headers)
    names = {name.lower() for name, _ in given}
    return given + [header for header in SECURITY_HEADERS if header[0] not in names]
