"""The product on uvicorn's public interfaces alone, as the fast path's alternatives.

    python -m benchmarks.peers.public_interfaces asgi_function | application

`asgi_function`: the same handlers, called by a pure ASGI function before the application.
`application`: every request goes through the application. Neither has limits on connections.
"""

import gc
import sys
from time import perf_counter
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from consumption_service.app import open_app
from consumption_service.settings import ConsumptionSettings
from shared.access.middleware import SECURITY_HEADERS
from shared.broker.connect import open_broker
from shared.http.fast_path import Answer, FastPath
from shared.http.request_ids import REQUEST_ID_HEADER, request_id_of
from shared.process.program import run_to_completion
from shared.process.settings import read_settings

UVICORN: Final[dict[str, Any]] = {
    "http": "httptools",
    "ws": "none",
    "lifespan": "off",
    "log_config": None,
    "access_log": False,
}


class HandlersFirst:
    """Offers each request to the fast path's handlers, which answer every one of a benchmark."""

    def __init__(self, app: FastAPI) -> None:
        self._app: ASGIApp = app
        self._fast_path: FastPath = app.state.fast_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the handler, or leave the request to the application."""
        line = b"%b %b" % (scope["method"].encode(), scope["raw_path"])
        handler = self._fast_path.handler_of(line)
        if handler is None:
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        body = (await receive())["body"]
        outcome = self._fast_path.start(handler, scope, body)
        if outcome is None:
            raise ValueError("a request of the benchmark is not plain")
        scope["route"] = handler
        answer = handler.respond(await outcome)
        headers = _headers(answer, scope)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        self._fast_path.seconds.observe(scope, answer.status, perf_counter() - began)
        await send({"type": "http.response.body", "body": answer.body})


def _headers(answer: Answer, scope: Scope) -> list[tuple[bytes, bytes]]:
    own = [line.split(b": ", 1) for line in answer.headers.splitlines()]
    return [
        *((name, value) for name, value in own),
        *SECURITY_HEADERS,
        (REQUEST_ID_HEADER, request_id_of(scope["headers"])),
        (b"content-length", b"%d" % len(answer.body)),
    ]


async def main() -> None:
    """Serve until a signal asks to stop."""
    settings = read_settings(ConsumptionSettings)
    async with open_broker(settings.amqp_url) as broker, open_app(settings, broker) as app:
        served: ASGIApp = HandlersFirst(app) if sys.argv[1] == "asgi_function" else app
        host, port = settings.consumption_host, settings.consumption_port
        gc.collect()
        gc.freeze()  # as the product does
        await uvicorn.Server(uvicorn.Config(served, host=host, port=port, **UVICORN)).serve()


if __name__ == "__main__":
    run_to_completion(main())
