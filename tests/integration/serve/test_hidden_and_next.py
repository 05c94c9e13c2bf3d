"""What a user hides is not shown to them; what comes next in a course is."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from recommendation_service.serve import hidden_lessons
from tests.support.pair import Pair, learned


@pytest_asyncio.fixture
async def service(pair: Pair) -> AsyncGenerator[httpx.AsyncClient]:
    """A service that knows what two users met, and that user 3 began."""
    for user in (1, 2):
        await pair.watch(user, 10, 11, 12, 13)
    await pair.watch(3, 10)
    await learned(pair.recommendation, 9)
    yield pair.recommendation


async def listed(client: httpx.AsyncClient, path: str, **query: Any) -> list[tuple[int, str]]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [(item["lesson_id"], item["reason"]) for item in answer.json()["items"]]


async def course(client: httpx.AsyncClient, *lessons: int, **more: Any) -> None:
    for place, lesson_id in enumerate(lessons):
        lesson = {"course_id": 7, "course_order": place, "duration": 348, **more}
        assert (await client.put(f"/lessons/{lesson_id}", json=lesson)).is_success


async def test_a_hidden_lesson_is_on_no_list_of_its_user_until_it_is_shown_again(
    service: httpx.AsyncClient,
) -> None:
    path = "/users/3/hidden-lessons"
    for _ in range(2):
        assert (await service.put(f"{path}/11")).status_code == 204

    assert [one["lesson_id"] for one in (await service.get(path)).json()["items"]] == [11]
    for user, shown in ((3, [12, 13]), (4, [10, 11, 12, 13])):
        lessons = await listed(service, f"/users/{user}/recommendations")
        assert sorted(lesson for lesson, _ in lessons) == shown
    assert await listed(service, "/lessons/10/next", user_id=3) == []
    assert await listed(service, "/lessons/10/next") == [(11, "watched_next")]

    for status in (204, 404):
        assert (await service.delete(f"{path}/11")).status_code == status
    assert (await service.get(path)).json() == {"items": []}
    lessons = await listed(service, "/users/3/recommendations")
    assert sorted(lesson for lesson, _ in lessons) == [11, 12, 13]


async def test_a_user_can_hide_so_many_lessons_and_no_more(
    service: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hidden_lessons, "MAX_HIDDEN", 2)

    answers = [await service.put(f"/users/3/hidden-lessons/{lesson}") for lesson in (1, 2, 3, 2)]

    assert [answer.status_code for answer in answers] == [204, 204, 409, 204]


async def test_the_next_lesson_of_the_course_comes_first(service: httpx.AsyncClient) -> None:
    await course(service, 20, 10, 30, 40)

    first, *others = await listed(service, "/lessons/10/next")

    assert first == (30, "next_in_course")
    assert others == [(11, "watched_next")]
    assert await listed(service, "/lessons/40/next") == []
    assert await listed(service, "/lessons/40/next", user_id=3) == [(20, "next_in_course")]
    assert await listed(service, "/lessons/10/next", limit=1) == [first]


async def test_what_a_user_finished_is_not_next(service: httpx.AsyncClient, pair: Pair) -> None:
    await course(service, 10, 11, 12, 13)
    await pair.watch(3, 11)  # up to 314 of 348 seconds: finished
    await learned(service, 10)

    assert await listed(service, "/lessons/10/next") == [(11, "next_in_course")]
    assert await listed(service, "/lessons/10/next", user_id=3) == [(12, "next_in_course")]

    await course(service, 10, 11, 12, 13, duration=350)
    assert await listed(service, "/lessons/10/next", user_id=3) == [(11, "next_in_course")]


@pytest.mark.parametrize("order", [1, -1])
async def test_a_lesson_stays_finished_wherever_its_user_goes_back_to(
    service: httpx.AsyncClient, pair: Pair, order: int
) -> None:
    await course(service, 10, 11, 12, 13)
    begun = {"user_id": 3, "lesson_id": 11, "position": 5, "occurred_at": "2026-01-01T00:00:00Z"}
    place = (await pair.consumption.post("/watches", json=begun)).headers["Location"]
    reports = [(340, "2026-01-01T00:01:00Z"), (20, "2026-01-01T00:02:00Z")]
    for position, at in reports[::order]:
        report = {"position": position, "occurred_at": at}
        assert (await pair.consumption.patch(place, json=report)).is_success
    await learned(service, 12)

    assert await listed(service, "/lessons/10/next", user_id=3) == [(12, "next_in_course")]


async def test_the_course_passes_over_what_may_not_be_shown(service: httpx.AsyncClient) -> None:
    await course(service, 10, 20, 30)
    await course(service, 20, hidden=True)

    assert await listed(service, "/lessons/10/next", limit=1) == [(30, "next_in_course")]
    assert await listed(service, "/lessons/10/next", limit=1, exclude=30) == [(11, "watched_next")]


async def test_every_item_says_why_it_is_there(service: httpx.AsyncClient) -> None:
    reasons = {
        "/users/3/recommendations": "watched_together",
        "/users/4/recommendations": "popular",
        "/lessons/popular": "popular",
        "/lessons/10/similar": "similar",
    }
    for path, reason in reasons.items():
        assert {why for _, why in await listed(service, path)} == {reason}, path
