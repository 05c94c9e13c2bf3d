"""Direct: the short way to a user's recommendations gives what FastAPI's way gives."""

import httpx
import pytest

from recommendation_service.direct import DirectRoute
from tests.integration.pair import Pair, learned

QUESTIONS = [
    "/users/1/recommendations",
    "/users/99/recommendations",
    "/users/1/recommendations?limit=2",
    "/users/1/recommendations?limit=2&limit=1",
    "/users/1/recommendations?limit=",
    "/users/1/recommendations?limit=101",
    "/users/1/recommendations?exclude=3&exclude=4&explain=true",
    "/users/1/recommendations?exclude=3,4",
    "/users/1/recommendations?explain=perhaps",
    "/users/1/recommendations?unheard=of",
    "/users/01/recommendations",
    "/users/-1/recommendations",
    "/users/me/recommendations",
    f"/users/{2**63}/recommendations",
]


def seen(answer: httpx.Response) -> tuple[object, ...]:
    return answer.status_code, answer.headers["Content-Type"], answer.json()


async def test_both_ways_give_the_same(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    await pair.watch(1, 1, 2)
    for user, last in ((2, 5), (3, 4), (4, 3)):
        await pair.watch(user, *range(1, last + 1))
    await learned(pair.recommendation, 14)

    direct = [seen(await pair.recommendation.get(question)) for question in QUESTIONS]
    monkeypatch.delattr(DirectRoute, "handle")
    whole = [seen(await pair.recommendation.get(question)) for question in QUESTIONS]

    for question, short, long in zip(QUESTIONS, direct, whole, strict=True):
        assert without_scores(short) == without_scores(long), question


def without_scores(answer: tuple[object, ...]) -> tuple[object, ...]:
    """Scores depend on the time."""
    status, content_type, body = answer
    assert isinstance(body, dict)
    if status != 200:
        return answer
    items = [(item["lesson_id"], item["because"] is None) for item in body.pop("items")]
    return status, content_type, body, items
