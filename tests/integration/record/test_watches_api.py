"""The HTTP contract of the consumption service, on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest

WATCH = {"user_id": 42, "lesson_id": 100, "position": 314}


async def test_a_watch_is_recorded_and_can_be_read_where_location_says(
    consumption: httpx.AsyncClient,
) -> None:
    answer = await consumption.post("/watches", json=WATCH)

    assert answer.status_code == 201
    watch = answer.json()
    assert UUID(watch["id"]).version == 7
    assert watch.items() >= WATCH.items()
    assert (await consumption.get(answer.headers["Location"])).json() == watch


async def test_times_are_answered_in_utc(consumption: httpx.AsyncClient) -> None:
    body = {**WATCH, "occurred_at": "2026-01-01T01:30:00+01:00", "duration": 600}

    watch = (await consumption.post("/watches", json=body)).json()

    assert watch["occurred_at"] == watch["reported_at"] == "2026-01-01T00:30:00Z"
    assert watch["duration"] == 600


@pytest.mark.parametrize("limit", [0, 2**63 - 1])
async def test_ids_and_positions_are_taken_up_to_their_bounds(
    consumption: httpx.AsyncClient, limit: int
) -> None:
    body = {"user_id": limit, "lesson_id": limit, "position": limit}

    answer = await consumption.post("/watches", json=body)

    assert answer.status_code == 201
    assert answer.json().items() >= body.items()


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_id": -1},
        {"user_id": 2**63},
        {"user_id": "42"},
        {"user_id": 4.2},
        {"user_id": True},
        {"user_id": None},
        {"lesson_id": 2**64},
        {"position": -1},
        {"position": 1.5},
        {"duration": -1},
        {"occurred_at": "2026-01-01T00:00:00"},
        {"occurred_at": "yesterday"},
        {"occurred_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
        {"speed": 2},
    ],
)
async def test_a_wrong_value_is_a_problem_and_records_nothing(
    consumption: httpx.AsyncClient, wrong: dict[str, object]
) -> None:
    answer = await consumption.post("/watches", json=WATCH | wrong)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:upnext:problem:invalid-request"
    assert next(iter(wrong)) in answer.json()["detail"]
    assert (await consumption.get("/watches")).json()["items"] == []


@pytest.mark.parametrize("missing", list(WATCH))
async def test_the_three_fields_are_required(consumption: httpx.AsyncClient, missing: str) -> None:
    body = {name: value for name, value in WATCH.items() if name != missing}

    answer = await consumption.post("/watches", json=body)

    assert answer.status_code == 422
    assert missing in answer.json()["detail"]


async def test_what_is_not_json_is_a_problem(consumption: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json"}

    answer = await consumption.post("/watches", content=b'{"user_id": 42', headers=headers)

    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:upnext:problem:malformed-json"


async def test_a_body_too_large_is_a_problem(consumption: httpx.AsyncClient) -> None:
    answer = await consumption.post("/watches", json={**WATCH, "notes": "x" * 1_000_000})

    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_same_key_and_content_is_recorded_once(consumption: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "lesson-100-first-try"}

    first = await consumption.post("/watches", json=WATCH, headers=headers)
    again = await consumption.post("/watches", json=WATCH, headers=headers)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert len((await consumption.get("/watches")).json()["items"]) == 1


async def test_the_same_key_at_the_same_time_is_recorded_once(
    consumption: httpx.AsyncClient,
) -> None:
    headers = {"Idempotency-Key": "impatient"}

    answers = await asyncio.gather(
        *(consumption.post("/watches", json=WATCH, headers=headers) for _ in range(20))
    )

    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_the_same_key_with_other_content_is_a_conflict(
    consumption: httpx.AsyncClient,
) -> None:
    headers = {"Idempotency-Key": "reused"}
    await consumption.post("/watches", json=WATCH, headers=headers)

    answer = await consumption.post("/watches", json=WATCH | {"position": 1}, headers=headers)

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:upnext:problem:conflict"


async def test_a_late_retry_does_not_bring_a_deleted_watch_back(
    consumption: httpx.AsyncClient,
) -> None:
    headers = {"Idempotency-Key": "undone"}
    first = await consumption.post("/watches", json=WATCH, headers=headers)
    await consumption.delete(first.headers["Location"])

    answer = await consumption.post("/watches", json=WATCH, headers=headers)

    assert answer.status_code == 409
    assert (await consumption.get("/watches")).json()["items"] == []


async def test_a_deleted_watch_is_gone(consumption: httpx.AsyncClient) -> None:
    place = (await consumption.post("/watches", json=WATCH)).headers["Location"]

    assert (await consumption.delete(place)).status_code == 204

    assert (await consumption.get(place)).status_code == 404
    assert (await consumption.delete(place)).status_code == 404
    answer = await consumption.patch(place, json={"position": 1})
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:upnext:problem:not-found"


async def test_an_unknown_or_unreadable_id_is_a_problem(consumption: httpx.AsyncClient) -> None:
    assert (await consumption.get(f"/watches/{uuid4()}")).status_code == 404
    assert (await consumption.get("/watches/42")).status_code == 404
    assert (await consumption.get("/nothing")).json()["type"] == "urn:upnext:problem:not-found"


async def test_many_at_once_are_each_recorded(consumption: httpx.AsyncClient) -> None:
    bodies = [WATCH | {"position": position} for position in range(300)]

    answers = await asyncio.gather(*(consumption.post("/watches", json=body) for body in bodies))

    assert {answer.status_code for answer in answers} == {201}
    assert [answer.json()["position"] for answer in answers] == list(range(300))
    page = (await consumption.get("/watches", params={"limit": 1000})).json()
    assert sorted(item["position"] for item in page["items"]) == list(range(300))


async def test_without_a_queue_the_service_is_ready_and_says_where_events_are(
    consumption: httpx.AsyncClient,
) -> None:
    await consumption.post("/watches", json=WATCH)

    answer = await consumption.get("/health/ready")

    assert answer.status_code == 200
    assert answer.json()["parts"]["database"] == "ok"
    assert (await consumption.get("/health/live")).json() == {"status": "live"}
