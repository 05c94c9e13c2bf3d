"""Workers: several processes of one service behind one address, see `WORKERS`.

The process that was started binds the address and starts workers, which inherit it: a connection
goes to whichever of them takes it first. One that dies is replaced. When the parent has to stop, or
is gone, they finish their requests and stop.
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
CANNOT_START: Final = 78  # the status of a worker that says why, and need not be started again
SOCKET: Final = "UPNEXT_SOCKET"  # tells a worker the number of the file that it inherits


async def supervise(package: str, count: int, bound: socket.socket) -> None:
    """Run so many workers of the service until SIGINT or SIGTERM, or until one cannot start."""
    log.info("%s: %d workers on port %d", package, count, bound.getsockname()[1])
    await _Supervisor(package, bound).run(count)


def is_worker() -> bool:
    """Tell whether this process was started by `supervise`."""
    return SOCKET in os.environ


def inherited_socket() -> socket.socket | None:
    """Return the address that the parent has bound, in a worker."""
    return socket.socket(fileno=int(os.environ[SOCKET])) if is_worker() else None


def stop_with_parent(stop: Callable[[], None]) -> None:
    """Call `stop` when the parent has gone, in a worker: its end of our standard input closes."""
    if not is_worker():
        return
    loop, parent = asyncio.get_running_loop(), sys.stdin.fileno()

    def gone() -> None:
        loop.remove_reader(parent)
        stop()

    loop.add_reader(parent, gone)


class _Supervisor:
    def __init__(self, package: str, bound: socket.socket) -> None:
        self._command = (sys.executable, "-m", package)
        self._bound = bound
        self._environment = os.environ | {"WORKERS": "1", SOCKET: str(bound.fileno())}
        self._stopping = asyncio.Event()
        self._refused = False

    async def run(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(self._keep_one())
        if self._refused:
            raise CannotStart("A worker could not start, and said why.")

    async def _keep_one(self) -> None:
        """Run a worker, and another whenever it ends."""
        while not self._stopping.is_set():
            status = await self._run_one()
            if status == CANNOT_START:
                self._refused = True
                self._stopping.set()
            if not self._stopping.is_set():
                log.error("a worker ended with status %d; another takes its place", status)
                await self._stopping_within(RESTART_DELAY)

    async def _run_one(self) -> int:
        """Start a worker, and return how it ended, by itself or because it is time to stop."""
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

    async def _stopping_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
