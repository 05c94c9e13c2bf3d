"""Reconnect: the one loop that keeps a publisher or a subscription open.

A lost connection is not reopened, see `rabbitmq/connection.py`. This loop opens the next one after
any failure, as long as the process lives: nothing else would restart the work. Messages without a
confirm are still in the outbox, and unacknowledged deliveries come again.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeVar

from shared.broker.interface import BrokerError
from shared.errors import Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

RECONNECT_DELAY: Final = 1.0  # seconds, on average: processes must not reconnect all at once


class ConnectionStatus:
    """The state of one connection to the broker, for readiness and logs."""

    def __init__(self, name: str) -> None:
        """`name` says what the connection is for, in logs: "publishing", "consuming lessons"."""
        self.name = name
        self.outage: str | None = "is not connected yet"  # None: it is connected
        self.attempted = asyncio.Event()  # set after the first attempt, successful or not

    def update(self, outage: str | None) -> None:
        """Store the reason for an outage, or None when connected; log it when it changes."""
        if outage and outage != self.outage:
            log.warning("%s waits: %s", self.name, outage)
        elif self.outage and not outage and self.attempted.is_set():
            log.info("%s is connected to the broker again", self.name)
        self.outage = outage
        self.attempted.set()


async def keep_connected(
    status: ConnectionStatus,
    connect: Callable[[], AbstractAsyncContextManager[T]],
    work: Callable[[T], Awaitable[None]],
) -> None:
    """Connect, work with the connection until it is lost, and start again, for ever.

    `Unavailable` of the work ends the connection, too: its unacknowledged deliveries come again.
    """
    while True:
        try:
            async with connect() as connection:
                status.update(None)
                await work(connection)
        except (BrokerError, Unavailable) as error:
            status.update(str(error))
        except Exception:
            log.exception("%s failed, and starts again", status.name)
            status.update("failed, see the log")
        await asyncio.sleep(RECONNECT_DELAY * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
