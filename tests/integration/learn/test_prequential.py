"""Live quality: every real watch is predicted first, then learned."""

from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.pair import Pair, SetUp, learned


async def evaluated(pair: Pair) -> dict[str, Any]:
    answer = (await pair.recommendation.get("/evaluation")).json()
    report: dict[str, Any] = answer["all_time"]
    return report


async def test_a_course_that_everybody_follows_is_predicted_better_than_by_popularity(
    set_up: SetUp,
) -> None:
    async with (
        set_up.recommendation(evaluation_share=1) as recommendation,
        set_up.consumption() as consumption,
    ):
        pair = Pair(consumption, recommendation)
        for user_id in range(20):
            await pair.watch(user_id, *(range(100, 120) if user_id % 2 else range(200, 220)))
        await learned(pair.recommendation, 400)

        async def saved() -> bool:
            return bool((await evaluated(pair))["events"] == 20 * 19)

        await eventually(saved)

    async with set_up.both() as pair:
        report = await evaluated(pair)

    assert report["evaluated"] == report["events"] == 20 * 19
    assert report["upnext"]["ndcg@10"] > report["popular"]["ndcg@10"] + 0.2
    assert report["upnext"]["hit@10"] >= report["upnext"]["mrr@10"] > 0


async def test_a_first_watch_is_nothing_to_predict(set_up: SetUp) -> None:
    async with set_up.both() as pair:
        for user_id in range(5):
            await pair.watch(user_id, 7)
        await learned(pair.recommendation, 5)
        report = await evaluated(pair)

    assert report["events"] == report["evaluated"] == 0
    assert report["upnext"] == {"hit@10": 0, "ndcg@10": 0, "mrr@10": 0}


@pytest.mark.parametrize(("share", "evaluated_of_all"), [(0, 0), (1, 1)])
async def test_every_watch_is_predicted_or_none_where_that_is_asked_for(
    set_up: SetUp, share: float, evaluated_of_all: int
) -> None:
    async with (
        set_up.recommendation(evaluation_share=share) as recommendation,
        set_up.consumption() as consumption,
    ):
        pair = Pair(consumption, recommendation)
        for user_id in range(3):
            await pair.watch(user_id, *range(100, 140))
        await learned(pair.recommendation, 120)

        async def saved() -> bool:
            return bool((await evaluated(pair))["events"] == 3 * 39)

        await eventually(saved)
        assert (await evaluated(pair))["evaluated"] == evaluated_of_all * 3 * 39
