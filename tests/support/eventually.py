"""Waiting with a deadline: for an awaitable, or until a condition is true."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

PAUSE: Final = 0.01  # seconds between two questions, at first
SHARE: Final = 0.1  # of the time waited so far: who has waited long can wait a little longer
LONGEST_PAUSE: Final = 0.2  # seconds; questions take time from who is to bring the answer
PATIENCE: Final = 100.0  # seconds, on a machine that is busy with many other things

T = TypeVar("T")


@overload
async def eventually(condition: Callable[[], Awaitable[T]], timeout: float = PATIENCE) -> T: ...


@overload
async def eventually(condition: Callable[[], T], timeout: float = PATIENCE) -> T: ...


async def eventually(condition: Callable[[], Any], timeout: float = PATIENCE) -> Any:
    """Ask the condition until it answers something truthy, and return that answer."""
    begun = time.monotonic()
    while not (answer := await _ask(condition)):
        waited = time.monotonic() - begun
        if waited > timeout:
            message = f"still {answer!r} after {timeout:g} seconds"
            raise AssertionError(message)
        await asyncio.sleep(min(max(PAUSE, SHARE * waited), LONGEST_PAUSE))
    return answer


async def within(awaitable: Awaitable[T], timeout: float = PATIENCE) -> T:
    """Await what somebody else has to bring about; fail when it does not come in time."""
    deadline = asyncio.timeout(timeout)
    try:
        async with deadline:
            return await awaitable
    except TimeoutError:
        if not deadline.expired():
            raise
        message = f"not done after {timeout:g} seconds"
        raise AssertionError(message) from None


async def _ask(condition: Callable[[], Any]) -> Any:
    answer = condition()
    return await within(answer) if inspect.isawaitable(answer) else answer
