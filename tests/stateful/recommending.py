"""Recommending: a recommendation service's answers, compared with what is known."""

from typing import Any, Final

import httpx

from tests.stateful.learning import Knowledge, Lessons, fingerprint_of

NOBODY: Final = 99  # a user who never watched
NOTHING: Final = 999  # a lesson that nobody met


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    """What the service answers; it always can."""
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def check_stats(client: httpx.AsyncClient, known: Knowledge) -> None:
    """Compare what was learned, what is parked and the model with what is known."""
    histories = known.histories().values()
    stats = await get(client, "/stats")
    events = stats["events"]
    assert events["applied"] in known.applied, events
    assert events["parked"] == len(known.parked), events
    assert stats["model"]["fingerprint"] == fingerprint_of(histories)
    assert stats["model"]["lessons"] == len(Lessons(histories).met)


async def check_duplicates(client: httpx.AsyncClient, known: Knowledge) -> None:
    """Compare how often an event came again with what is known."""
    events = (await get(client, "/stats"))["events"]
    assert events["duplicates"] == known.duplicates, events


async def check_popular(client: httpx.AsyncClient, known: Knowledge) -> None:
    """The lessons most users met, with exact counts."""
    items = (await get(client, "/lessons/popular", window="all", limit=100))["items"]
    lessons = Lessons(known.histories().values())
    assert [(item["lesson_id"], item["score"]) for item in items] == lessons.popular


async def check_answers(client: httpx.AsyncClient, known: Knowledge) -> None:
    """What every user is recommended, and what goes with every lesson."""
    histories = known.histories()
    lessons = Lessons(histories.values())
    for user in {*histories, *known.erased, NOBODY}:
        met = {meeting.lesson_id for meeting in histories.get(user, [])}
        answer = await get(client, f"/users/{user}/recommendations", limit=100)
        assert _lessons(answer) == sorted(lessons.met.keys() - met)
        assert answer["strategy"] == ("personal" if met else "popular")
    for lesson in (*lessons.met, NOTHING):
        near = await get(client, f"/lessons/{lesson}/similar", limit=100)
        after = await get(client, f"/lessons/{lesson}/next", limit=100)
        assert _lessons(near) == sorted(lessons.near[lesson])
        assert _lessons(after) == sorted(lessons.next[lesson])


def _lessons(answer: Any) -> list[int]:
    return sorted(item["lesson_id"] for item in answer["items"])


async def all_parked(client: httpx.AsyncClient, limit: int) -> list[dict[str, Any]]:
    """Walk through all pages of parked messages."""
    query: dict[str, Any] = {"limit": limit}
    items: list[dict[str, Any]] = []
    while True:
        page = await get(client, "/parked", **query)
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        query["cursor"] = page["next_cursor"]
