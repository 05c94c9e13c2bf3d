"""POST /watches/batch: every watch gets its own outcome, and none pays for another."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.clock import utc_now
from tests.support.pair import Pair, learned

GOOD = {"user_id": 42, "lesson_id": 100, "position": 314}


async def post(consumption: httpx.AsyncClient, *items: object) -> list[dict[str, Any]]:
    """The outcomes of a batch."""
    answer = await consumption.post("/watches/batch", json={"items": items})
    assert answer.status_code == 200, answer.text
    outcomes: list[dict[str, Any]] = answer.json()["items"]
    assert len(outcomes) == len(items)
    return outcomes


def statuses(outcomes: list[dict[str, Any]]) -> list[int]:
    return [outcome["status"] for outcome in outcomes]


async def test_watches_are_recorded_in_order_and_learned(pair: Pair) -> None:
    items = [GOOD | {"lesson_id": lesson} for lesson in range(1000)]

    outcomes = await post(pair.consumption, *items)

    assert set(statuses(outcomes)) == {201}
    assert [outcome["watch"]["lesson_id"] for outcome in outcomes] == list(range(1000))
    await learned(pair.recommendation, 1000)
    last = outcomes[-1]["watch"]
    assert (await pair.consumption.get(f"/watches/{last['id']}")).json() == last


@pytest.mark.parametrize(
    ("bad", "where"),
    [
        (GOOD | {"position": -1}, "position"),
        (GOOD | {"user_id": "42"}, "user_id"),
        (GOOD | {"more": 1}, "more"),
        ({"user_id": 1}, "lesson_id"),
        (GOOD | {"occurred_at": (utc_now() + timedelta(days=1)).isoformat()}, "occurred_at"),
        (GOOD | {"idempotency_key": ""}, "idempotency_key"),
        (GOOD | {"idempotency_key": "a\x00b"}, "idempotency_key"),
        (7, "dictionary"),
        (None, "dictionary"),
    ],
)
async def test_one_that_is_wrong_fails_alone(
    consumption: httpx.AsyncClient, bad: object, where: str
) -> None:
    outcomes = await post(consumption, GOOD, bad, GOOD)

    assert statuses(outcomes) == [201, 422, 201]
    assert where in outcomes[1]["problem"]["detail"]
    assert "watch" not in outcomes[1]
    stored = (await consumption.get("/watches")).json()["items"]
    assert len(stored) == 2


async def test_keys_make_watches_of_a_batch_repeatable(consumption: httpx.AsyncClient) -> None:
    keyed = GOOD | {"idempotency_key": "a"}
    first = await post(consumption, keyed, keyed, keyed | {"position": 1}, GOOD)
    again = await post(consumption, GOOD | {"idempotency_key": "b"}, keyed)
    alone = await consumption.post("/watches", json=GOOD, headers={"Idempotency-Key": "a"})

    assert statuses(first) == [201, 200, 409, 201]
    assert statuses(again) == [201, 200]
    assert alone.status_code == 200
    ids = {first[0]["watch"]["id"], first[1]["watch"]["id"], again[1]["watch"]["id"]}
    assert ids == {alone.json()["id"]}


async def test_an_empty_batch_is_no_mistake(consumption: httpx.AsyncClient) -> None:
    assert await post(consumption) == []


@pytest.mark.parametrize("body", [{}, [GOOD], {"items": GOOD}, {"items": [GOOD] * 1001}])
async def test_what_is_no_batch_changes_nothing(
    consumption: httpx.AsyncClient, body: object
) -> None:
    answer = await consumption.post("/watches/batch", json=body)

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (await consumption.get("/watches")).json()["items"] == []
