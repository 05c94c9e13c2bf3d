"""Waiting without sleeping: ask until the answer is yes, or a deadline has passed."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

PAUSE: Final = 0.01  # seconds between two questions

T = TypeVar("T")


@overload
async def eventually(condition: Callable[[], Awaitable[T]], timeout: float = 10.0) -> T: ...


@overload
async def eventually(condition: Callable[[], T], timeout: float = 10.0) -> T: ...


async def eventually(condition: Callable[[], Any], timeout: float = 10.0) -> Any:
    """Ask the condition until it answers something truthy, and return that answer."""
    deadline = time.monotonic() + timeout
    while not (answer := await _ask(condition)):
        if time.monotonic() > deadline:
            message = f"still {answer!r} after {timeout:g} seconds"
            raise AssertionError(message)
        await asyncio.sleep(PAUSE)
    return answer


async def _ask(condition: Callable[[], Any]) -> Any:
    answer = condition()
    return await answer if inspect.isawaitable(answer) else answer
