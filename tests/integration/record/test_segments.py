"""What was seen of a lesson: it only grows, on both databases."""

import asyncio
from typing import Any

import httpx
import pytest

START = {"user_id": 42, "lesson_id": 100, "position": 0, "duration": 600}
AT = "2026-01-01T00:00:{:02}Z".format


async def start(consumption: httpx.AsyncClient, **said: Any) -> str:
    """Begin a watch; return where it is."""
    answer = await consumption.post("/watches", json={**START, "occurred_at": AT(0), **said})
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


async def test_the_furthest_position_stays_when_the_position_goes_back(
    consumption: httpx.AsyncClient,
) -> None:
    place = await start(consumption)
    await consumption.patch(place, json={"position": 400, "occurred_at": AT(1)})

    answer = await consumption.patch(place, json={"position": 30, "occurred_at": AT(2)})

    assert (answer.json()["position"], answer.json()["furthest"]) == (30, 400)
    assert answer.json()["segments"] is None


async def test_a_late_report_adds_to_what_was_seen_and_leaves_the_position(
    consumption: httpx.AsyncClient,
) -> None:
    place = await start(consumption, segments=[])
    await consumption.patch(
        place, json={"position": 30, "occurred_at": AT(2), "segments": [[20, 30]]}
    )

    late = await consumption.patch(
        place, json={"position": 400, "occurred_at": AT(1), "segments": [[390, 400], [0, 20]]}
    )

    assert late.json()["outcome"] == "stale"
    watch = (await consumption.get(place)).json()
    assert watch["position"] == 30
    assert watch["furthest"] == 400
    assert watch["segments"] == [[0, 30], [390, 400]]
    assert late.json() == watch | {"outcome": "stale"}


async def test_watches_with_and_without_segments_are_recorded_together(
    consumption: httpx.AsyncClient,
) -> None:
    said: list[dict[str, Any]] = [{}, {"segments": []}, {"segments": [[5, 9], [0, 5], [7, 7]]}]

    places = await asyncio.gather(*(start(consumption, **one) for one in said))

    watches = [(await consumption.get(place)).json() for place in places]
    assert [watch["segments"] for watch in watches] == [None, [], [[0, 9]]]


@pytest.mark.parametrize("wrong", [[[9, 5]], [[1]], [[-1, 5]], [[0.5, 5]], "0-5", [[0, 1]] * 1001])
async def test_segments_that_cannot_be_are_refused(
    consumption: httpx.AsyncClient, wrong: object
) -> None:
    answer = await consumption.post("/watches", json={**START, "segments": wrong})

    assert answer.status_code == 422
    assert "segments" in answer.json()["detail"]


async def test_a_watch_does_not_take_segments_without_end(consumption: httpx.AsyncClient) -> None:
    place = await start(consumption)
    apart = [[2 * n, 2 * n + 1] for n in range(10_001)]
    for first in range(0, 10_000, 1000):
        body = {"position": 1, "segments": apart[first : first + 1000]}
        assert (await consumption.patch(place, json=body)).status_code == 200
    before = (await consumption.get(place)).json()

    answer = await consumption.patch(place, json={"position": 1, "segments": apart[-1:]})

    assert answer.status_code == 422
    assert "10,000" in answer.json()["detail"]
    assert (await consumption.get(place)).json() == before
