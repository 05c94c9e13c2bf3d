"""Timestamp allocator: gives transactions their times, and lets them end in that order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

NEVER: Final = datetime.min.replace(tzinfo=UTC)
TICK: Final = timedelta(microseconds=1)  # no two events of a process have the same time

# Allocates times from about this one on, for so many events; returns the time of the first.
Allocate = Callable[[datetime, int], datetime]


class TimestampAllocator:
    """Times that only go forward, however the clocks go; each is allocated once."""

    def __init__(self) -> None:
        self._last = NEVER  # no event has a later time
        self._last_ended = asyncio.Event()  # set when the block that allocated last has ended
        self._last_ended.set()

    def advance_to(self, time: datetime) -> None:
        """Allocate later times than this from now on."""
        self._last = max(self._last, time)

    @asynccontextmanager
    async def commit_in_order(self) -> AsyncIterator[Allocate]:
        """Yield a function that allocates times; call it once.

        The block ends after all blocks with earlier times. So when a watch is answered, every watch
        with an earlier time is recorded.
        """
        earlier, ended = self._last_ended, asyncio.Event()

        def allocate(about: datetime, events: int) -> datetime:
            nonlocal earlier
            earlier, self._last_ended = self._last_ended, ended
            first = max(about, self._last + TICK)
            self._last = first + TICK * events  # each has its own, in no other group
            return first

        try:
            yield allocate
        finally:
            try:
                await earlier.wait()
            finally:  # a request that is cancelled must not hold up the others
                ended.set()
