"""The catalogue: what is said of lessons, by HTTP, and what it does to every list."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest_asyncio

from tests.support.eventually import eventually
from tests.support.pair import Pair, SetUp, learned

LESSON = {"title": "Fractions", "duration": 600, "course_id": 7, "course_order": 3, "tags": ["a"]}
NOTHING: dict[str, Any] = {
    "title": None,
    "duration": None,
    "course_id": None,
    "course_order": None,
    "tags": [],
    "hidden": False,
    "available_from": None,
    "available_until": None,
}
PAST, FUTURE = "2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z"


@pytest_asyncio.fixture
async def service(set_up: SetUp) -> AsyncGenerator[httpx.AsyncClient]:
    """A recommendation service alone."""
    async with set_up.recommendation() as client:
        yield client


async def put(client: httpx.AsyncClient, lesson_id: int, **lesson: Any) -> httpx.Response:
    answer = await client.put(f"/lessons/{lesson_id}", json=lesson)
    assert answer.is_success, answer.text
    return answer


async def ids(client: httpx.AsyncClient, path: str, **query: Any) -> list[int]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [item["lesson_id"] for item in answer.json()["items"]]


async def test_a_lesson_is_stored_replaced_and_deleted(service: httpx.AsyncClient) -> None:
    created = await put(service, 100, **LESSON)
    replaced = await put(service, 100, title="Other")
    read = await service.get("/lessons/100")

    assert created.status_code == 201
    assert created.json().items() >= {**NOTHING, **LESSON, "lesson_id": 100}.items()
    assert replaced.status_code == 200
    assert read.json() == replaced.json()
    assert read.json().items() >= {**NOTHING, "title": "Other"}.items()

    for status in (204, 404):
        assert (await service.delete("/lessons/100")).status_code == status
    assert (await service.get("/lessons/100")).status_code == 404
    assert (await put(service, 100)).status_code == 201


async def test_lessons_are_listed_by_id_page_by_page_and_filtered(
    service: httpx.AsyncClient,
) -> None:
    await put(service, 3, tags=["a", "b"], course_id=7)
    await put(service, 1, tags=["a"], course_id=8, hidden=True)
    await put(service, 2)
    await put(service, 9)
    await service.delete("/lessons/9")

    first = (await service.get("/lessons", params={"limit": 2})).json()
    second = (await service.get("/lessons", params={"cursor": first["next_cursor"]})).json()

    assert [item["lesson_id"] for item in first["items"] + second["items"]] == [1, 2, 3]
    assert second["next_cursor"] is None
    assert await ids(service, "/lessons", tag="a") == [1, 3]
    assert await ids(service, "/lessons", tag=["a", "b"]) == [3]
    assert await ids(service, "/lessons", tag="a", course_id=8) == [1]


async def test_each_lesson_of_a_batch_has_an_outcome_of_its_own(
    service: httpx.AsyncClient,
) -> None:
    await put(service, 1)
    items = [{"lesson_id": 1}, {"lesson_id": 2, "title": 5}, {"lesson_id": 3}, "no", {"title": "x"}]

    answer = await service.post("/lessons/batch", json={"items": items})

    assert answer.status_code == 200
    outcomes = answer.json()["items"]
    assert [one["status"] for one in outcomes] == [200, 422, 201, 422, 422]
    assert outcomes[2]["lesson"].items() >= {**NOTHING, "lesson_id": 3}.items()
    assert "title" in outcomes[1]["problem"]["detail"]
    assert await ids(service, "/lessons") == [1, 3]


async def test_a_lesson_that_cannot_be_is_refused(service: httpx.AsyncClient) -> None:
    wrong: list[dict[str, Any]] = [
        {"available_from": FUTURE, "available_until": PAST},
        {"duration": -1},
        {"tags": [""]},
        {"title": "\x00"},
        {"colour": "red"},
    ]
    for lesson in wrong:
        answer = await service.put("/lessons/1", json=lesson)
        assert answer.status_code == 422, lesson
    assert await ids(service, "/lessons") == []


LISTS = ["/users/3/recommendations", "/lessons/10/similar", "/lessons/popular"]


@pytest_asyncio.fixture
async def filtered(pair: Pair) -> httpx.AsyncClient:
    """A service that knows watches of 10 to 15, and of most of these lessons something else."""
    for user in (1, 2):
        await pair.watch(user, 10, 11, 12, 13, 14, 15)
    await pair.watch(3, 10)
    await learned(pair.recommendation, 13)
    service = pair.recommendation
    await put(service, 11, tags=["a"], course_id=7)
    await put(service, 12, tags=["a", "b"], course_id=7)
    await put(service, 13, hidden=True, tags=["a"])
    await put(service, 14, available_from=FUTURE)
    await put(service, 15, available_from=PAST, available_until="2000-01-02T00:00:00Z")
    await put(service, 16, tags=["c"])
    await service.delete("/lessons/16")
    return service


async def test_every_list_shows_what_the_catalogue_lets_through(
    filtered: httpx.AsyncClient,
) -> None:
    for path in LISTS:
        assert set(await ids(filtered, path)) - {10} == {11, 12}, path
    assert await ids(filtered, "/lessons/10/next") == [11]
    assert await ids(filtered, "/lessons/12/next") == []


async def test_every_list_can_be_filtered(filtered: httpx.AsyncClient) -> None:
    for path in LISTS:
        assert await ids(filtered, path, tag=["a", "b"]) == [12], path
        assert set(await ids(filtered, path, course_id=7)) == {11, 12}, path
        assert set(await ids(filtered, path, exclude=11)) - {10} == {12}, path
    assert await ids(filtered, "/lessons/10/next", tag="b") == []
    visit = {"lesson_ids": [10], "tags": ["b"]}
    visited = (await filtered.post("/recommendations", json=visit)).json()["items"]
    assert [item["lesson_id"] for item in visited] == [12]


async def test_a_filter_that_nothing_matches_leaves_nothing(filtered: httpx.AsyncClient) -> None:
    for path in [*LISTS, "/lessons/10/next"]:
        for nothing in ({"tag": "unknown"}, {"course_id": 99}, {"tag": "c"}):
            assert await ids(filtered, path, **nothing) == [], path


async def test_a_list_is_not_empty_while_the_catalogue_has_lessons(
    service: httpx.AsyncClient,
) -> None:
    for lesson_id, order in ((3, 1), (1, 2), (2, None)):
        await put(service, lesson_id, course_order=order, tags=["a"] if order else [])

    answer = (await service.get("/users/42/recommendations")).json()

    assert [item["lesson_id"] for item in answer["items"]] == [3, 1, 2]
    assert {item["reason"] for item in answer["items"]} == {"new"}
    assert await ids(service, "/users/42/recommendations", tag="a", exclude=3) == [1]


async def test_a_new_lesson_that_nobody_met_gets_its_share_of_the_places(pair: Pair) -> None:
    for user in range(12):
        await pair.watch(user, *range(20))
    await pair.watch(99, 0)
    await learned(pair.recommendation, 241)
    await put(pair.recommendation, 500)

    items = await pair.recommended(99, limit=10)

    assert [item["lesson_id"] for item in items if item["reason"] == "new"] == [500]
    assert items[-1]["lesson_id"] == 500
    assert {item["reason"] for item in items[:-1]} == {"watched_together"}


async def test_another_process_knows_it_too(real: SetUp) -> None:
    async with real.recommendation() as one, real.recommendation() as other:
        await put(one, 5)

        async def known() -> bool:
            return await ids(other, "/users/1/recommendations") == [5]

        await eventually(known)
        assert (await other.get("/lessons/5")).status_code == 200

        await one.delete("/lessons/5")
        assert (await other.get("/lessons/5")).status_code == 404
    async with real.recommendation() as later:
        assert await ids(later, "/lessons") == []
