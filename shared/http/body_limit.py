"""Body limit: a larger request body is refused with a problem document."""

from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.problems import problem


class BodyLimit:
    """ASGI middleware: refuse by Content-Length, before reading; without it, while reading."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = RequestBodyLimitMiddleware(app, max_body_size=max_bytes)
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] == "http" and _content_length(scope) > self._max_bytes:
            detail = f"The body is larger than {self._max_bytes:,} bytes."
            await problem(413, "Content Too Large", detail)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _content_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
