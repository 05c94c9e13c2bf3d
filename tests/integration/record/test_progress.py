"""Progress and what to go on with, on both databases."""

from typing import Any

import httpx
import pytest

from shared.broker.in_process import InProcessBroker
from tests.support.pair import SetUp

AT = "2026-01-01T00:00:{:02}Z".format


async def watch(
    consumption: httpx.AsyncClient, lesson_id: int, position: int, at: int = 0, **said: Any
) -> str:
    """Record a watch of a lesson of ten minutes; return where it is."""
    body = {"user_id": 42, "lesson_id": lesson_id, "position": position, "duration": 600}
    answer = await consumption.post("/watches", json={**body, "occurred_at": AT(at), **said})
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


async def report(
    consumption: httpx.AsyncClient, place: str, position: int, at: int, **said: Any
) -> None:
    body = {"position": position, "occurred_at": AT(at), **said}
    answer = await consumption.patch(place, json=body)
    assert answer.status_code == 200, answer.text


async def progress(consumption: httpx.AsyncClient, **query: str | int) -> list[dict[str, Any]]:
    answer = await consumption.get("/users/42/progress", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def to_continue(consumption: httpx.AsyncClient) -> list[int]:
    answer = await consumption.get("/users/42/continue-watching")
    assert answer.status_code == 200, answer.text
    return [item["lesson_id"] for item in answer.json()["items"]]


async def test_progress_tells_how_far_a_user_came(consumption: httpx.AsyncClient) -> None:
    place = await watch(consumption, 100, 0)
    await report(consumption, place, 314, 5)
    await report(consumption, place, 200, 7)
    await watch(consumption, 7, 10, at=3, duration=None)

    assert await progress(consumption) == [
        {
            "lesson_id": 100,
            "state": "started",
            "position": 200,
            "furthest_position": 314,
            "duration": 600,
            "percent": 52.3,
            "watched_seconds": None,
            "plays": 1,
            "last_watched_at": AT(7),
        },
        {
            "lesson_id": 7,
            "state": "started",
            "position": 10,
            "furthest_position": 10,
            "duration": None,
            "percent": None,
            "watched_seconds": None,
            "plays": 1,
            "last_watched_at": AT(3),
        },
    ]


async def test_where_segments_are_reported_only_what_was_watched_counts(
    consumption: httpx.AsyncClient,
) -> None:
    place = await watch(consumption, 100, 0, segments=[])
    await report(consumption, place, 60, 1, segments=[[0, 60]])
    await report(consumption, place, 599, 2, segments=[[590, 599]])
    await report(consumption, place, 60, 3, segments=[[30, 60]])

    (found,) = await progress(consumption)

    assert (found["watched_seconds"], found["percent"]) == (69, 11.5)
    assert (found["furthest_position"], found["state"]) == (599, "started")


async def test_the_plays_of_a_lesson_add_up(consumption: httpx.AsyncClient) -> None:
    await watch(consumption, 100, 300, at=1, segments=[[0, 300]])
    await watch(consumption, 100, 560, at=2, segments=[[280, 560]])

    (found,) = await progress(consumption)

    assert (found["plays"], found["watched_seconds"], found["percent"]) == (2, 560, 93.3)
    assert (found["state"], found["position"]) == ("finished", 560)


async def test_watching_again_does_not_make_a_lesson_unfinished(
    consumption: httpx.AsyncClient,
) -> None:
    first = await watch(consumption, 100, 540)
    assert await to_continue(consumption) == []

    await report(consumption, first, 30, 9)
    again = await watch(consumption, 100, 10, at=20, segments=[[0, 10]])
    await report(consumption, again, 20, 21, segments=[[10, 20]])
    await watch(consumption, 100, 5, at=30, duration=9000)

    (found,) = await progress(consumption)
    assert (found["state"], found["position"], found["plays"]) == ("finished", 5, 3)
    assert await to_continue(consumption) == []


async def test_an_undone_watch_counts_no_longer(consumption: httpx.AsyncClient) -> None:
    finished = await watch(consumption, 100, 600, at=5)
    await watch(consumption, 100, 60, at=1)

    await consumption.delete(finished)

    (found,) = await progress(consumption)
    assert (found["state"], found["percent"], found["position"]) == ("started", 10, 60)


async def test_what_to_continue_with_is_started_and_not_finished_newest_first(
    consumption: httpx.AsyncClient,
) -> None:
    places = {lesson: await watch(consumption, lesson, 10, at=lesson) for lesson in (1, 2, 3, 4)}
    await report(consumption, places[2], 539, 50)
    await report(consumption, places[3], 540, 40)

    assert await to_continue(consumption) == [2, 4, 1]
    assert [one["lesson_id"] for one in await progress(consumption, state="finished")] == [3]
    assert [one["lesson_id"] for one in await progress(consumption, lesson_id=4)] == [4]


async def test_a_lesson_may_have_a_threshold_of_its_own(consumption: httpx.AsyncClient) -> None:
    await watch(consumption, 100, 300)
    await watch(consumption, 101, 300)
    threshold = "/lessons/100/completion"
    assert (await consumption.get(threshold)).status_code == 404

    for percent in (80, 50):
        answer = await consumption.put(threshold, json={"percent": percent})
        assert answer.status_code == 200
        assert answer.json() == {"lesson_id": 100, "percent": percent}
    assert (await consumption.get(threshold)).json() == {"lesson_id": 100, "percent": 50}
    assert await to_continue(consumption) == [101]

    assert (await consumption.delete(threshold)).status_code == 204
    assert (await consumption.delete(threshold)).status_code == 404
    assert await to_continue(consumption) == [101, 100]


@pytest.mark.parametrize("wrong", [0, 101, 50.5, "80", None])
async def test_a_threshold_that_cannot_be_is_refused(
    consumption: httpx.AsyncClient, wrong: object
) -> None:
    answer = await consumption.put("/lessons/100/completion", json={"percent": wrong})

    assert answer.status_code == 422
    assert "percent" in answer.json()["detail"]


async def test_the_usual_threshold_is_a_setting(database_url: str) -> None:
    set_up = SetUp(database_url, "", InProcessBroker())
    async with set_up.consumption(completion_percent=50) as consumption:
        await watch(consumption, 100, 300)
        await watch(consumption, 101, 299)

        assert await to_continue(consumption) == [101]


@pytest.mark.parametrize("path", ["progress", "continue-watching"])
async def test_a_cursor_leads_through_all_lessons(
    consumption: httpx.AsyncClient, path: str
) -> None:
    # More than are read at once, and most of them at the same time.
    items = [
        {
            "user_id": 42,
            "lesson_id": lesson,
            "position": 600 if lesson % 10 == 0 else 1,
            "duration": 600,
            "occurred_at": AT(lesson % 3),
        }
        for lesson in range(450)
    ]
    answer = await consumption.post("/watches/batch", json={"items": items})
    assert answer.status_code == 200

    seen: list[tuple[str, int]] = []
    query: dict[str, str | int] = {"limit": 101}
    while True:
        page = (await consumption.get(f"/users/42/{path}", params=query)).json()
        seen += [(item["last_watched_at"], item["lesson_id"]) for item in page["items"]]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == 101
        query["cursor"] = page["next_cursor"]

    assert seen == sorted(seen, reverse=True)
    assert {lesson for _, lesson in seen} == {
        lesson for lesson in range(450) if path == "progress" or lesson % 10
    }


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"cursor": "x"},
        {"cursor": "9" * 18 + "-1"},
        {"state": "new"},
        {"lesson_id": -1},
    ],
)
async def test_a_wrong_query_is_a_problem(
    consumption: httpx.AsyncClient, query: dict[str, str | int]
) -> None:
    assert (await consumption.get("/users/42/progress", params=query)).status_code == 422


async def test_nobody_has_no_progress(consumption: httpx.AsyncClient) -> None:
    assert (await consumption.get("/users/1/progress")).json() == {
        "items": [],
        "next_cursor": None,
    }
