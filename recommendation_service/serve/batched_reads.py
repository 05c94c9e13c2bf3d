"""Group read: requests that arrive together share one query for what their users met and hide.

A request that comes alone waits for nothing but its own read. The others wait for a read in
progress, and go together into the next.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from recommendation_service.learn.recent_interactions import (
    UserHistory,
    recent_and_hidden,
    recent_interactions,
)
from shared.database.database import Database
from shared.ids import UserId

GROUP_SIZE: Final = 32  # users in one query
READS_IN_FLIGHT: Final = 2  # while one is on its way, another is taken apart
SHORT: Final = 100  # meetings of each user that are read together; longer histories are read alone

Waiting = tuple[UserId, asyncio.Future[UserHistory]]


class GroupRead:
    """The queue of requests that wait to know what their users met."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[Waiting] = deque()
        self._reading: set[asyncio.Task[None]] = set()

    async def known(self, user_id: UserId) -> UserHistory:
        """Return the latest KNOWN meetings of a user, and what they hide, as of now or later."""
        future: asyncio.Future[UserHistory] = asyncio.get_running_loop().create_future()
        self._waiting.append((user_id, future))
        if len(self._reading) < READS_IN_FLIGHT:
            self._reading.add(asyncio.create_task(self._read_all(), name="read histories"))
        known = await future
        if len(known.history) < SHORT:
            return known
        async with self._database.read() as connection:
            return known._replace(history=await recent_interactions(connection, user_id))

    async def _read_all(self) -> None:
        """Read group after group until nobody waits."""
        try:
            while self._waiting:
                size = min(len(self._waiting), GROUP_SIZE)
                await self._read([self._waiting.popleft() for _ in range(size)])
        finally:
            # Nothing was awaited since the last look at who waits, so nobody is forgotten.
            self._reading.discard(asyncio.current_task())

    async def _read(self, group: Sequence[Waiting]) -> None:
        users = dict.fromkeys(user_id for user_id, _ in group)
        try:
            async with self._database.read() as connection:
                found = await recent_and_hidden(self._database, connection, users, SHORT)
        except Exception as error:  # noqa: BLE001 - it is the callers'; others may wait
            _fail(group, error)
            return
        for user_id, future in group:
            if not future.done():  # its request may have gone away
                future.set_result(found[user_id])


def _fail(group: Sequence[Waiting], error: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)
