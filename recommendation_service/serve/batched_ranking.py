"""Batched ranking: lists that are requested at the same moment are ranked together.

Requests whose histories came from one query continue at the same moment (`batched_reads.py`). All
lists that are requested in the same iteration of the event loop are made in one call of the model,
which costs much less than a call for each.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from recommendation_service.model.rank import RankedLesson
from shared.process.futures import set_exceptions, set_results

T = TypeVar("T")


class BatchedRanking(Generic[T]):
    """The batch of this moment; `rank_all` makes a list for each of its items."""

    def __init__(self, rank_all: Callable[[Sequence[T]], Sequence[list[RankedLesson]]]) -> None:
        self._rank_all = rank_all
        self._batch: list[tuple[T, asyncio.Future[list[RankedLesson]]]] = []

    async def rank(self, item: T) -> list[RankedLesson]:
        """Return the list for this item."""
        loop = asyncio.get_running_loop()
        if not self._batch:
            loop.call_soon(self._rank_batch)
        future: asyncio.Future[list[RankedLesson]] = loop.create_future()
        self._batch.append((item, future))
        return await future

    def _rank_batch(self) -> None:
        # Nothing is ranked for requests that have gone away.
        batch = [(item, future) for item, future in self._batch if not future.done()]
        self._batch = []
        futures = [future for _, future in batch]
        try:
            set_results(futures, self._rank_all([item for item, _ in batch]))
        except Exception as error:  # noqa: BLE001 - the callers handle it
            set_exceptions(futures, error)
