"""Patience: while the database is away, what has to be done is tried again and again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from shared.database.database import DatabaseUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

PAUSE: Final = (0.1, 10.0)  # seconds to wait for the database: at first, and at most


async def retry_while_unavailable(step: Callable[[], Awaitable[T]], doing: str) -> T:
    """Take a step that may be taken twice, until the database was there for it."""
    pause, longest = PAUSE
    while True:
        try:
            return await step()
        except DatabaseUnavailable as outage:
            log.warning("%s waits %.1f s for the database: %s", doing, pause, outage)
        await asyncio.sleep(pause)
        pause = min(pause * 2, longest)
