"""Self-check: whether the installed uvicorn has the private parts that this folder relies on.

The names are looked up, and a connection without a socket is driven through a request to the
application, one to the fast path, and a refusal behind a pipelined request. It takes milliseconds.
"""

import asyncio
import inspect
import logging
import re
from importlib import import_module
from operator import attrgetter
from typing import Any, Final

import uvicorn
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from shared.access.caller import ANONYMOUS_ADMIN, Caller
from shared.http.fast_path import Answer, AnyHandler, FastPath, FastPathHandler
from shared.http.uvicorn_protocol.protocol import make_protocol
from shared.process.metrics import RequestSeconds
from shared.process.settings import SharedSettings

log = logging.getLogger(__name__)

TIMEOUT: Final = 5.0  # seconds

# Of `HttpToolsProtocol`: the methods that are overridden or called, with their parameters.
METHODS: Final = """
_start_asgi_task(cycle,app) _unset_keepalive_if_required() connection_lost(exc)
connection_made(transport) data_received(data) on_body(body) on_header(name,value)
on_headers_complete() on_message_begin() on_message_complete() on_response_complete() on_url(url)
pause_writing() resume_writing() send_400_response(msg) timeout_keep_alive_handler()
"""
# Of a connection: the attributes that are read or set, those of its request and flow control too.
ATTRIBUTES: Final = """
app connections cycle flow headers loop parser pipeline scope server_state timeout_keep_alive
timeout_keep_alive_task transport url cycle.body cycle.disconnected cycle.keep_alive
cycle.response_complete cycle.response_started cycle.scope flow.pause_reading flow.read_paused
flow.resume_reading flow.write_paused
"""

GET: Final = b"GET /application HTTP/1.1\r\nHost: check\r\n\r\n"
FAST: Final = b"POST /fast HTTP/1.1\r\nHost: check\r\nContent-Length: 4\r\n\r\nfast"
MALFORMED: Final = b"POST / HTTP/1.1\r\nHost: check\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n"
EXPECTED: Final = {
    GET: rb"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\napplication",
    FAST: rb"HTTP/1.1 201 Created\r\nfast: yes\r\n.*\r\ncontent-length: 4\r\n\r\nfast",
    GET + MALFORMED: rb"HTTP/1.1 200 OK\r\n.*\r\n\r\napplicationHTTP/1.1 400 Bad Request\r\n.*}",
}


async def is_supported() -> bool:
    """Tell whether the installed uvicorn is as expected; log a warning if it is not."""
    try:
        _check_methods()
        async with asyncio.timeout(TIMEOUT):
            await _check_answers()
    except Exception as difference:  # noqa: BLE001 - an unknown uvicorn may raise anything
        log.warning(
            "uvicorn %s is not supported: served without fast path and without limits on"
            " connections (%s: %s)",
            *(uvicorn.__version__, type(difference).__name__, difference),
        )
        return False
    return True


def _check_methods() -> None:
    base = import_module("uvicorn.protocols.http.httptools_impl").HttpToolsProtocol
    for expected in METHODS.split():
        name = expected.partition("(")[0]
        _, *parameters = inspect.signature(getattr(base, name)).parameters
        if f"{name}({','.join(parameters)})" != expected:
            raise TypeError(f"{name} has the parameters {parameters}")


async def _check_answers() -> None:
    options: Any = {"lifespan": "off", "log_config": None, "access_log": False}
    config = uvicorn.Config(_application, proxy_headers=False, **options)
    state = import_module("uvicorn.server").ServerState()
    protocol: Any = make_protocol(SharedSettings.model_construct(), _CheckedFastPath())
    connection, transport = protocol(config, state, {}), _Transport()
    connection.connection_made(transport)
    try:
        for request, expected in EXPECTED.items():
            connection.data_received(request)
            attrgetter(*ATTRIBUTES.split())(connection)
            while connection.pipeline or not connection.cycle.response_complete:  # noqa: ASYNC110
                await asyncio.sleep(0)
            if not re.fullmatch(expected, transport.written, re.DOTALL):
                raise ValueError(f"{request!r} is answered with {bytes(transport.written)!r}")
            transport.written.clear()
    finally:
        connection.connection_lost(None)  # cancels its timers


async def _application(_: Scope, __: Receive, send: Send) -> None:
    headers = [(b"content-length", b"11")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"application"})


class Echo(FastPathHandler[bytes, bytes]):
    """A handler that answers with the body."""

    line = re.compile(rb"POST /fast")
    path = "/fast"

    @override
    def parse(self, scope: Scope, body: bytes) -> bytes:
        return body

    @override
    def start(self, asked: bytes, caller: Caller) -> asyncio.Future[bytes]:
        done = asyncio.get_running_loop().create_future()
        done.set_result(asked)
        return done

    @override
    def respond(self, outcome: bytes) -> Answer:
        return Answer(201, b"fast: yes\r\n", outcome)


class _CheckedFastPath(FastPath):
    """A fast path with one handler, whether requests are traced or not."""

    def __init__(self) -> None:
        super().__init__(lambda _: ANONYMOUS_ADMIN, RequestSeconds())

    @override
    def handler_of(self, line: bytes) -> AnyHandler | None:
        return Echo() if Echo.line.fullmatch(line) else None


class _Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self._closing = False

    @override
    def write(self, data: Any) -> None:
        self.written += data

    @override
    def is_closing(self) -> bool:
        return self._closing

    @override
    def close(self) -> None:
        self._closing = True

    @override
    def pause_reading(self) -> None:
        """Change nothing."""

    resume_reading = pause_reading
