"""Retry with exponential back-off, while the database is unavailable."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from shared.database.database import DatabaseUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_DELAY: Final = 0.1  # seconds
MAX_DELAY: Final = 10.0  # seconds


async def retry_while_unavailable(step: Callable[[], Awaitable[T]], name: str) -> T:
    """Repeat an idempotent step while the database is unavailable; return its result.

    `name` names the step in the log. Any other error is raised at once.
    """
    delay = FIRST_DELAY
    while True:
        try:
            return await step()
        except DatabaseUnavailable as outage:
            log.warning("%s waits %.1f s for the database: %s", name, delay, outage)
        await asyncio.sleep(delay)
        delay = min(delay * 2, MAX_DELAY)
