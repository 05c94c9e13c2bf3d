"""Workers: several processes of one service that share its address (`WORKERS`).

The parent binds the socket, and the workers inherit it: a connection goes to the first worker that
accepts it. The parent replaces a worker that ends. When the parent stops or has died, the workers
finish their requests and stop.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final

from shared.errors import CannotStart

log = logging.getLogger(__name__)

RESTART_DELAY: Final = 1.0  # seconds
CANNOT_START_STATUS: Final = 78  # exit status of a worker: do not restart it
SOCKET_VARIABLE: Final = "UPNEXT_SOCKET"  # environment variable: the inherited file descriptor


async def supervise(package: str, count: int, bound: socket.socket) -> None:
    """Run `count` workers of the service until SIGINT or SIGTERM, or until one cannot start."""
    log.info("%s: %d workers on port %d", package, count, bound.getsockname()[1])
    await _Supervisor(package, bound).run(count)


def is_worker() -> bool:
    """Tell whether this process was started by `supervise`."""
    return SOCKET_VARIABLE in os.environ


def inherited_socket() -> socket.socket | None:
    """Return the socket that the parent has bound; None in a process that is no worker."""
    return socket.socket(fileno=int(os.environ[SOCKET_VARIABLE])) if is_worker() else None


def stop_with_parent(stop: Callable[[], None]) -> None:
    """In a worker, call `stop` when the parent has died: standard input reaches its end."""
    if not is_worker():
        return
    loop, parent = asyncio.get_running_loop(), sys.stdin.fileno()

    def stop_once() -> None:
        loop.remove_reader(parent)
        stop()

    loop.add_reader(parent, stop_once)


class _Supervisor:
    def __init__(self, package: str, bound: socket.socket) -> None:
        self._command = (sys.executable, "-m", package)
        self._bound = bound
        self._environment = os.environ | {"WORKERS": "1", SOCKET_VARIABLE: str(bound.fileno())}
        self._stopping = asyncio.Event()
        self._refused = False

    async def run(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signal_number, self._stopping.set)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(self._keep_one())
        if self._refused:
            raise CannotStart("A worker could not start, and said why.")

    async def _keep_one(self) -> None:
        """Run a worker, and restart it whenever it ends."""
        while not self._stopping.is_set():
            status = await self._run_one()
            if status == CANNOT_START_STATUS:
                self._refused = True
                self._stopping.set()
            if not self._stopping.is_set():
                log.error("a worker ended with status %d, and is replaced", status)
                await self._wait_for_stop(RESTART_DELAY)

    async def _run_one(self) -> int:
        """Run a worker until it ends or the service stops; return its exit status."""
        worker = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            env=self._environment,
            pass_fds=(self._bound.fileno(),),
        )
        ended = asyncio.create_task(worker.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            worker.terminate()
        return await ended

    async def _wait_for_stop(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
