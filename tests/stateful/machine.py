"""Machine: random steps against services that live in an event loop of the machine's own.

The loop turns only while a step runs. So what happens between two steps is nothing, and a run can
be repeated by repeating its steps.
"""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Any, Final, TypeVar

import httpx
from fastapi import FastAPI
from hypothesis.stateful import RuleBasedStateMachine
from typing_extensions import override

from tests.support.pair import client_of

PATIENCE: Final = 150.0  # seconds that a step may take

T = TypeVar("T")


class Killed(Exception):
    """What ends a service that is given no time to clean up."""


class Service:
    """A service that can be stopped, killed and started again."""

    def __init__(self, open_app: Callable[[], AbstractAsyncContextManager[FastAPI]]) -> None:
        self._open_app = open_app
        self._stack = AsyncExitStack()
        self.client: httpx.AsyncClient
        self.is_running = False

    async def start(self) -> None:
        self.is_running = True
        app = await self._stack.enter_async_context(self._open_app())
        self.client = await self._stack.enter_async_context(client_of(app))

    async def stop(self) -> None:
        """Shut down in good order."""
        self.is_running = False
        await self._stack.aclose()
        _free_files()

    async def kill(self) -> None:
        """End without the last words of a shutdown: memory is lost as it is."""
        self.is_running = False
        with suppress(Killed):
            async with self._stack:
                raise Killed
        _free_files()

    async def restart(self, *, killed: bool) -> None:
        await (self.kill() if killed else self.stop())
        await self.start()


def _free_files() -> None:
    """Let go of files, as a process does that ends.

    SQLite keeps one locked for as long as a statement that was broken off is remembered by the
    error that broke it off.
    """
    gc.collect()


class Machine(RuleBasedStateMachine):
    """Runs coroutines one after the other; the first failure is the one that is told."""

    def __init__(self) -> None:
        super().__init__()
        # Whoever looks for garbage then finds that of this machine, and looks at nothing else.
        gc.collect()
        gc.freeze()
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._stack = AsyncExitStack()
        self._failed = False

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        try:
            return self._runner.run(asyncio.wait_for(step, PATIENCE))
        except BaseException:
            self._failed = True
            raise

    def keep(self, resource: AbstractAsyncContextManager[T]) -> T:
        """Open what is closed when the machine ends."""
        return self.run(self._stack.enter_async_context(resource))

    def start(self, open_app: Callable[[], AbstractAsyncContextManager[FastAPI]]) -> Service:
        """Start a service that is stopped when the machine ends."""
        service = Service(open_app)
        self.run(service.start())
        self._stack.push_async_callback(service.kill)
        return service

    async def in_the_end(self) -> None:
        """Check what has to be true when everything is back and has had its time."""

    @override
    def teardown(self) -> None:
        try:
            if not self._failed:
                self.run(self.in_the_end())
        finally:
            self._runner.run(self._stack.aclose())
            self._runner.close()
