"""Batched reads: requests that arrive together read their users in one query.

A request that arrives alone waits for nothing but its own read. Others wait for the reads in
progress, and share the next one.
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
from shared.process.futures import set_exceptions, set_results

MAX_BATCH_SIZE: Final = 32  # users in one query
MAX_READS: Final = 2  # in flight: while one is on its way, the rows of another are processed
SHORT_HISTORY: Final = 100  # interactions that a batch reads of each user; longer ones: one by one


class BatchedReads:
    """The queue of requests that wait for what is known of their users."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[tuple[UserId, asyncio.Future[UserHistory]]] = deque()
        self._reading: set[asyncio.Task[None]] = set()

    async def read(self, user_id: UserId) -> UserHistory:
        """Return the latest MAX_HISTORY interactions and the hidden lessons, as of now or later."""
        future: asyncio.Future[UserHistory] = asyncio.get_running_loop().create_future()
        self._waiting.append((user_id, future))
        if len(self._reading) < MAX_READS:
            self._reading.add(asyncio.create_task(self._read_all(), name="read histories"))
        known = await future
        if len(known.history) < SHORT_HISTORY:
            return known
        async with self._database.read() as connection:
            return known._replace(history=await recent_interactions(connection, user_id))

    async def _read_all(self) -> None:
        """Read batch after batch until no request waits."""
        try:
            while self._waiting:
                size = min(len(self._waiting), MAX_BATCH_SIZE)
                batch = [self._waiting.popleft() for _ in range(size)]
                await self._read([user for user, _ in batch], [future for _, future in batch])
        finally:
            # Nothing was awaited since the queue was found empty, so no request is forgotten.
            self._reading.discard(asyncio.current_task())

    async def _read(
        self, users: Sequence[UserId], futures: Sequence[asyncio.Future[UserHistory]]
    ) -> None:
        try:
            async with self._database.read() as connection:
                distinct = dict.fromkeys(users)
                found = await recent_and_hidden(self._database, connection, distinct, SHORT_HISTORY)
        except Exception as error:  # noqa: BLE001 - the callers handle it; other batches may wait
            set_exceptions(futures, error)
        else:
            set_results(futures, [found[user_id] for user_id in users])
