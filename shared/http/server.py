"""Server: serves one or more applications in this process until SIGINT or SIGTERM."""

import asyncio
import gc
import logging
import resource
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from shared.errors import CannotStart
from shared.http.uvicorn_protocol.lingering import MAX_LINGERING
from shared.http.uvicorn_protocol.protocol import make_protocol
from shared.http.uvicorn_protocol.self_check import is_supported
from shared.process.settings import SharedSettings
from shared.process.workers import inherited_socket, stop_with_parent

log = logging.getLogger(__name__)

SHUTDOWN_TIMEOUT: Final = 10  # seconds for open requests to finish
OTHER_OPEN_FILES: Final = 200  # besides the connections of clients: databases, broker, logs


@dataclass(frozen=True, slots=True)
class Listener:
    """An application and its address."""

    app: FastAPI
    host: str
    port: int


class _Server(uvicorn.Server):
    """A server that leaves the signals to `serve`."""

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(listeners: Sequence[Listener]) -> None:
    """Serve until SIGINT or SIGTERM; then finish the open requests and return.

    Raises `CannotStart` when an address cannot be used.
    """
    supported = await is_supported()
    servers = [_Server(_config(listener, supported=supported)) for listener in listeners]
    _raise_file_limit(sum(_settings(listener).max_connections for listener in listeners))
    sockets = [inherited_socket() or bind(one.host, one.port) for one in listeners]
    for listener in listeners:
        url = f"http://{listener.host}:{listener.port}"
        log.info("%s: %s (documentation: %s/docs)", listener.app.title, url, url)

    def stop() -> None:
        for server, listener in zip(servers, listeners, strict=True):
            server.should_exit = True
            listener.app.state.draining.set()

    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stop)
    stop_with_parent(stop)
    # All objects that exist by now stay. To scan them in each garbage collection would stop the
    # process for a tenth of a second.
    gc.collect()
    gc.freeze()
    async with asyncio.TaskGroup() as tasks:
        for server, bound in zip(servers, sockets, strict=True):
            tasks.create_task(server.serve([bound]))


def _settings(listener: Listener) -> SharedSettings:
    settings: SharedSettings = listener.app.state.settings
    return settings


def _raise_file_limit(connections: int) -> None:
    """Raise the limit of open files for the connections; by default it is often 1,024."""
    needed = connections + MAX_LINGERING + OTHER_OPEN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OSError):
        log.warning("MAX_CONNECTIONS needs %d open files; %d are allowed here", needed, soft)


def _config(listener: Listener, *, supported: bool) -> uvicorn.Config:
    """Return the configuration; an unsupported uvicorn serves with its own protocol."""
    settings = _settings(listener)
    fast_path = listener.app.state.fast_path
    return uvicorn.Config(
        listener.app,
        host=listener.host,
        port=listener.port,
        http=make_protocol(settings, fast_path) if supported else "auto",
        ws="none",
        timeout_keep_alive=settings.keep_alive,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
    )


def bind(host: str, port: int) -> socket.socket:
    """Return a socket at the address, or raise `CannotStart`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        raise CannotStart(f"Cannot listen on {host}:{port}: {error.strerror}.") from None
    return bound
