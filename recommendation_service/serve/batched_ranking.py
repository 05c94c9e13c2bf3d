"""Group rank: lists that are asked for at the same moment are worked out together.

Requests go on together when their histories were read together (`group_read.py`). The lists of all
that go on before the event loop turns are made in one call of the model, which costs much less.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from recommendation_service.model.rank import Scored

Question = TypeVar("Question")


class GroupRank(Generic[Question]):
    """The questions of this moment; `rank` answers them all."""

    def __init__(self, rank: Callable[[Sequence[Question]], Sequence[list[Scored]]]) -> None:
        self._rank = rank
        self._waiting: list[tuple[Question, asyncio.Future[list[Scored]]]] = []

    async def ranked(self, question: Question) -> list[Scored]:
        """Return the list that is asked for."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._rank_all)
        future: asyncio.Future[list[Scored]] = loop.create_future()
        self._waiting.append((question, future))
        return await future

    def _rank_all(self) -> None:
        # Requests may have gone away.
        waiting = [(question, future) for question, future in self._waiting if not future.done()]
        self._waiting = []
        try:
            lists = self._rank([question for question, _ in waiting])
        except Exception as error:  # noqa: BLE001 - it is the callers'
            for _, future in waiting:
                future.set_exception(error)
            return
        for (_, future), ranked in zip(waiting, lists, strict=True):
            future.set_result(ranked)
