"""Batched ranking: requests of the same moment are ranked together, each gets its own answer."""

import asyncio
from collections.abc import Sequence

import pytest

from recommendation_service.model.rank import RankedLesson
from recommendation_service.serve.batched_ranking import BatchedRanking
from shared.ids import LessonId
from tests.support.eventually import within


class Ranking:
    """Answers a number with the lesson of that number, except 13, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.group = BatchedRanking(self._rank)

    def _rank(self, numbers: Sequence[int]) -> list[list[RankedLesson]]:
        self.asked.append(list(numbers))
        if 13 in numbers:
            raise ValueError("unlucky")
        return [[RankedLesson(LessonId(number), 1.0)] for number in numbers]

    async def lesson_for(self, number: int) -> int:
        ((lesson, _, _),) = await self.group.rank(number)
        return lesson


async def test_who_asks_at_the_same_moment_is_answered_together() -> None:
    ranking = Ranking()

    assert await asyncio.gather(*map(ranking.lesson_for, range(5))) == list(range(5))
    assert await ranking.lesson_for(7) == 7

    assert ranking.asked == [[0, 1, 2, 3, 4], [7]]


async def test_nothing_is_worked_out_for_who_has_gone() -> None:
    ranking = Ranking()
    leaving, staying = (asyncio.ensure_future(ranking.lesson_for(number)) for number in (1, 2))
    asyncio.get_running_loop().call_soon(leaving.cancel)

    assert await within(staying) == 2
    assert leaving.cancelled()

    assert ranking.asked == [[2]]


async def test_an_error_is_told_to_all_who_ask_then_and_to_nobody_else() -> None:
    ranking = Ranking()

    found = await asyncio.gather(*map(ranking.lesson_for, (1, 13)), return_exceptions=True)

    assert [type(one) for one in found] == [ValueError, ValueError]
    with pytest.raises(ValueError, match="unlucky"):
        await ranking.lesson_for(13)
    assert await ranking.lesson_for(2) == 2
