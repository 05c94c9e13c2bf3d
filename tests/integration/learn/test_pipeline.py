"""From a posted watch to a recommendation, on every set-up."""

from datetime import datetime, timedelta

import httpx
import pytest

from consumption_service.publish import outbox_relay
from shared.database.database import open_database
from tests.support.eventually import eventually
from tests.support.pair import Pair, SetUp, learned, stats_of


async def test_a_posted_watch_changes_what_everybody_is_recommended(pair: Pair) -> None:
    for user_id in (1, 2, 3):
        await pair.watch(user_id, 100, 7)
    await pair.watch(4, 8)
    await pair.watch(42, 100)
    await learned(pair.recommendation, 8)

    best, *rest = await pair.recommended(42, explain=True)

    assert best["lesson_id"] == 7
    assert [reason["lesson_id"] for reason in best["because"]] == [100]
    assert [item["lesson_id"] for item in rest] == [8]


async def test_a_watch_is_learned_without_waiting_for_a_look_at_the_outbox(
    set_up: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_relay, "RELAY_GRACE", timedelta(days=1))

    async with set_up.both() as pair:
        await pair.watch(42, 100)
        await learned(pair.recommendation, 1)


async def test_an_answer_says_how_fresh_it_is(pair: Pair) -> None:
    await pair.watch(1, 100)
    recorded = (await pair.consumption.get("/watches")).json()["items"][0]["recorded_at"]
    await learned(pair.recommendation, 1)

    answer = (await pair.recommendation.get("/users/1/recommendations")).json()

    assert datetime.fromisoformat(answer["applied_through"]) == datetime.fromisoformat(recorded)
    assert 0 <= answer["lag_ms"] < 30_000


async def test_while_a_watch_waits_to_be_learned_the_answers_grow_older(embedded: SetUp) -> None:
    async with embedded.both() as pair:

        async def lag() -> int:
            answer = await pair.recommendation.get("/users/1/recommendations")
            return int(answer.json()["lag_ms"])

        await pair.watch(1, 100)
        await learned(pair.recommendation, 1)
        before = await lag()
        async with open_database(embedded.recommendation_database) as database, database.write():
            await pair.watch(1, 101)

            async def is_older() -> bool:
                return await lag() > before + 300

            await eventually(is_older)
        await learned(pair.recommendation, 2)


async def test_an_unknown_user_gets_the_popular_lessons(pair: Pair) -> None:
    for user_id in (1, 2):
        await pair.watch(user_id, 7)
    await pair.watch(3, 8)
    await learned(pair.recommendation, 3)

    answer = (await pair.recommendation.get("/users/99/recommendations")).json()

    assert answer["strategy"] == "popular"
    assert [item["lesson_id"] for item in answer["items"]] == [7, 8]


async def test_what_was_watched_or_excluded_is_not_recommended(pair: Pair) -> None:
    await pair.watch(1, 1, 2, 3, 4)
    await pair.watch(2, 1)
    await learned(pair.recommendation, 5)

    assert {item["lesson_id"] for item in await pair.recommended(2)} == {2, 3, 4}
    query = httpx.QueryParams([("exclude", 2), ("exclude", 3)])
    answer = await pair.recommendation.get("/users/2/recommendations", params=query)
    assert [item["lesson_id"] for item in answer.json()["items"]] == [4]
    assert len(await pair.recommended(2, limit=1)) == 1


async def test_similar_next_and_popular_lessons(pair: Pair) -> None:
    for user_id in (1, 2):
        await pair.watch(user_id, 100, 7)
    await pair.watch(3, 7)
    await learned(pair.recommendation, 5)

    async def lessons(path: str) -> list[int]:
        items = (await pair.recommendation.get(path)).json()["items"]
        return [item["lesson_id"] for item in items]

    assert await lessons("/lessons/100/similar") == [7]
    assert await lessons("/lessons/100/next") == [7]
    assert await lessons("/lessons/popular") == [7, 100]
    assert await lessons("/lessons/popular?window=1h&limit=1") == [7]
    assert await lessons("/lessons/999/similar") == []


async def test_a_visitor_gets_recommendations_and_leaves_no_trace(pair: Pair) -> None:
    await pair.watch(1, 100, 7)
    before = await learned(pair.recommendation, 2)

    answer = await pair.recommendation.post("/recommendations", json={"lesson_ids": [100]})

    assert [item["lesson_id"] for item in answer.json()["items"]] == [7]
    assert answer.json()["user_id"] is None
    assert (await stats_of(pair.recommendation))["model"] == before["model"]


async def test_a_deleted_watch_is_unlearned(pair: Pair) -> None:
    await pair.watch(1, 100, 7)
    before = (await learned(pair.recommendation, 2))["model"]["fingerprint"]
    (place,) = await pair.watch(2, 100)
    await learned(pair.recommendation, 3)

    await pair.consumption.delete(place)
    after = (await learned(pair.recommendation, 4))["model"]["fingerprint"]

    assert after == before


async def test_every_report_is_an_event_and_changes_no_recommendation(pair: Pair) -> None:
    (place,) = await pair.watch(1, 100)
    before = (await learned(pair.recommendation, 1))["model"]

    for position in (320, 330):
        await pair.consumption.patch(place, json={"position": position})

    assert (await learned(pair.recommendation, 3))["model"] == before


async def test_events_wait_for_a_recommendation_service_that_starts_later(set_up: SetUp) -> None:
    async with set_up.consumption() as consumption:
        for lesson_id in range(20):
            body = {"user_id": 1, "lesson_id": lesson_id, "position": 0}
            assert (await consumption.post("/watches", json=body)).status_code == 201

        async with set_up.recommendation() as recommendation:
            stats = await learned(recommendation, 20)

    assert stats["events"]["duplicates"] == 0


async def test_watches_recorded_while_nobody_learns_are_learned_afterwards(set_up: SetUp) -> None:
    async with set_up.both() as pair:
        await pair.watch(1, 100)
        await learned(pair.recommendation, 1)
    async with set_up.consumption() as consumption:
        for lesson_id in range(10):
            body = {"user_id": 2, "lesson_id": lesson_id, "position": 0}
            await consumption.post("/watches", json=body)

    async with set_up.both() as pair:
        await learned(pair.recommendation, 11)


async def test_a_restarted_service_answers_as_before(set_up: SetUp) -> None:
    async with set_up.both() as pair:
        for place in range(15):
            # So long ago that answers are given as of the last of them, whatever the clock says.
            body = {
                "user_id": place // 3,
                "lesson_id": (1, 2, place // 3 + 10)[place % 3],
                "position": 314,
                "occurred_at": f"2020-01-01T10:{place:02}:00Z",
            }
            assert (await pair.consumption.post("/watches", json=body)).status_code == 201
        before = (await learned(pair.recommendation, 15))["model"]
        recommended = await pair.recommended(99)

    async with set_up.recommendation() as again:
        assert (await stats_of(again))["model"] == before
        items = (await again.get("/users/99/recommendations")).json()["items"]
        assert [item["lesson_id"] for item in items] == [item["lesson_id"] for item in recommended]


async def test_two_recommendation_services_share_the_work_and_answer_alike(real: SetUp) -> None:
    async with real.recommendation(batch_size=2) as other, real.both() as pair:
        for user_id in range(30):
            await pair.watch(user_id, user_id % 7, 50 + user_id % 3)
        await learned(pair.recommendation, 60)

        async def fingerprints() -> bool:
            one, two = (await stats_of(pair.recommendation)), (await stats_of(other))
            return bool(one["model"] == two["model"])

        await eventually(fingerprints)


async def test_the_panel_shows_an_empty_queue_in_the_end(pair: Pair) -> None:
    await pair.watch(1, *range(30))
    await learned(pair.recommendation, 30)

    async def drained() -> bool:
        stats = await stats_of(pair.recommendation)
        return bool(stats["queue"] == {"ready": 0, "unacked": 0, "total": 0})

    await eventually(drained)
    stats = await stats_of(pair.recommendation)
    assert stats["events"] == {"applied": 30, "duplicates": 0, "parked": 0}
    assert 0 < stats["freshness_ms"]["p50"] <= stats["freshness_ms"]["p99"]


async def test_both_services_are_ready_and_say_so(pair: Pair) -> None:
    async def ready() -> bool:
        answers = [
            await client.get("/health/ready") for client in (pair.consumption, pair.recommendation)
        ]
        return all(answer.json()["status"] == "ready" for answer in answers)

    assert await eventually(ready)


async def test_a_wrong_request_is_a_problem(pair: Pair) -> None:
    for path in (
        "/users/-1/recommendations",
        f"/users/{2**63}/recommendations",
        "/users/1/recommendations?limit=0",
        "/users/1/recommendations?exclude=x",
        "/lessons/popular?window=year",
        "/lessons/x/similar",
    ):
        answer = await pair.recommendation.get(path)
        assert answer.status_code == 422, path
        assert answer.headers["content-type"] == "application/problem+json"
