"""Order: the times that the transactions of this process take, and in which they end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

NEVER: Final = datetime.min.replace(tzinfo=UTC)
TICK: Final = timedelta(microseconds=1)  # no two events of a process have the same time

# Takes a time of about this for so many events, and returns the time of the first.
Take = Callable[[datetime, int], datetime]


class TimestampAllocator:
    """Times that only go forward, however the clocks go; each is taken once."""

    def __init__(self) -> None:
        self._now = NEVER  # no event has a later time
        self._latest = asyncio.Event()  # set when what took its time last has ended
        self._latest.set()

    def advance_to(self, time: datetime) -> None:
        """Hand out later times than this from now on."""
        self._now = max(self._now, time)

    @asynccontextmanager
    async def commit_in_order(self) -> AsyncIterator[Take]:
        """Hand over what takes a time, once.

        The block ends when those that took earlier times have ended, so that whoever has learned
        what was recorded at a time has learned what was recorded before.
        """
        earlier, ended = self._latest, asyncio.Event()

        def take(about: datetime, events: int) -> datetime:
            nonlocal earlier
            earlier, self._latest = self._latest, ended
            now = max(about, self._now + TICK)
            self._now = now + TICK * events  # each has its own, in no other group
            return now

        try:
            yield take
        finally:
            try:
                await earlier.wait()
            finally:  # a request that is broken off must not hold up the others
                ended.set()
