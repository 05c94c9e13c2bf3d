"""Live quality: every real watch is predicted first, then learned."""

from typing import Any

import pytest

from recommendation_service import evaluate
from tests.eventually import eventually
from tests.integration.pair import Pair, SetUp, learned


async def evaluated(pair: Pair) -> dict[str, Any]:
    answer = (await pair.recommendation.get("/evaluation")).json()
    report: dict[str, Any] = answer["all_time"]
    return report


async def test_a_course_that_everybody_follows_is_predicted_better_than_by_popularity(
    set_up: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("GLANCE", "SAVINGS"):
        monkeypatch.setattr(evaluate, limit, 1000.0)  # all are looked at, however long it takes
    async with set_up.both() as pair:
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
