"""The HTTP contract of the consumption service: reports and lists, on both databases."""

import asyncio

import httpx
import pytest

WATCH = {"user_id": 42, "lesson_id": 100, "position": 314}


async def test_a_report_moves_the_position(consumption: httpx.AsyncClient) -> None:
    created = await consumption.post("/watches", json=WATCH)
    place = created.headers["Location"]

    answer = await consumption.patch(place, json={"position": 400})

    assert answer.status_code == 200
    assert (answer.json()["outcome"], answer.json()["position"]) == ("applied", 400)
    assert (await consumption.get(place)).json()["position"] == 400


async def test_an_older_report_never_moves_a_newer_position_back(
    consumption: httpx.AsyncClient,
) -> None:
    at = "2026-01-01T00:0{}:00Z".format
    place = (await consumption.post("/watches", json={**WATCH, "occurred_at": at(0)})).headers[
        "Location"
    ]
    await consumption.patch(place, json={"position": 400, "occurred_at": at(2)})

    late = await consumption.patch(place, json={"position": 350, "occurred_at": at(1)})
    repeated = await consumption.patch(place, json={"position": 400, "occurred_at": at(2)})

    assert late.status_code == repeated.status_code == 200
    assert late.json()["outcome"] == repeated.json()["outcome"] == "stale"
    assert late.json()["position"] == 400
    assert (await consumption.get(place)).json()["reported_at"] == at(2)


async def test_reports_at_once_leave_the_newest(consumption: httpx.AsyncClient) -> None:
    start = {**WATCH, "occurred_at": "2026-01-01T00:00:00Z"}
    place = (await consumption.post("/watches", json=start)).headers["Location"]
    reports = [
        {"position": second, "occurred_at": f"2026-01-01T00:00:{second:02}Z"}
        for second in (5, 40, 10, 59, 20, 30)
    ]

    await asyncio.gather(*(consumption.patch(place, json=report) for report in reports))

    assert (await consumption.get(place)).json()["position"] == 59


async def test_lists_are_newest_first_and_filtered(consumption: httpx.AsyncClient) -> None:
    for user_id, lesson_id in ((1, 1), (1, 2), (2, 1), (1, 1)):
        body = {"user_id": user_id, "lesson_id": lesson_id, "position": 0}
        await consumption.post("/watches", json=body)

    async def found(**query: int) -> list[tuple[int, int]]:
        items = (await consumption.get("/watches", params=query)).json()["items"]
        return [(item["user_id"], item["lesson_id"]) for item in items]

    assert await found() == [(1, 1), (2, 1), (1, 2), (1, 1)]
    assert await found(user_id=1) == [(1, 1), (1, 2), (1, 1)]
    assert await found(user_id=1, lesson_id=1) == [(1, 1), (1, 1)]
    assert await found(lesson_id=2) == [(1, 2)]


async def test_a_cursor_leads_through_the_whole_list(consumption: httpx.AsyncClient) -> None:
    for position in range(5):
        await consumption.post("/watches", json=WATCH | {"position": position})

    seen: list[int] = []
    query: dict[str, str | int] = {"limit": 2}
    while True:
        page = (await consumption.get("/watches", params=query)).json()
        seen += [item["position"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]

    assert seen == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"cursor": "x"}, {"user_id": -1}])
async def test_a_wrong_query_is_a_problem(
    consumption: httpx.AsyncClient, query: dict[str, str | int]
) -> None:
    assert (await consumption.get("/watches", params=query)).status_code == 422
