"""Reconnect: the one loop that keeps a publisher or a subscription open.

A connection that is lost stays lost, see `interface.py`. This loop opens the next one, for as long
as the process lives, whatever the work failed with: nothing else would start the work again. What
was not confirmed is in the outbox, what was not acknowledged comes again.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeVar

from shared.broker.interface import BrokerError

log = logging.getLogger(__name__)

T = TypeVar("T")

RECONNECT_DELAY: Final = 1.0  # seconds, on average: many processes must not come back at once


class Link:
    """The state of one connection to the broker, for readiness and for logs."""

    def __init__(self, name: str) -> None:
        """`name` says what the connection is for, in logs: "publishing", "consuming lessons"."""
        self.name = name
        self.outage: str | None = "is not connected yet"  # None: it is connected
        self.attempted = asyncio.Event()  # the broker was reached, or was found to be away

    def report(self, outage: str | None) -> None:
        """Note why there is no connection, or that there is one; log it when it changes."""
        if outage and outage != self.outage:
            log.warning("%s waits for the broker: %s", self.name, outage)
        elif self.outage and not outage:
            log.info("%s is connected to the broker", self.name)
        self.outage = outage
        self.attempted.set()


async def keep_connected(
    link: Link,
    connect: Callable[[], AbstractAsyncContextManager[T]],
    work: Callable[[T], Awaitable[None]],
) -> None:
    """Connect, and work with the connection until it is lost; again and again, for ever."""
    while True:
        try:
            async with connect() as connection:
                link.report(None)
                await work(connection)
        except BrokerError as error:
            link.report(str(error))
        except Exception:
            log.exception("%s failed, and starts again", link.name)
            link.report("failed, see the log")
        await asyncio.sleep(RECONNECT_DELAY * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
