"""A user's recommendations have two ways: what is plain takes the short one, both answer alike."""

from collections.abc import Generator
from typing import Any, Final

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recommendation_service.api.fast_path import RecommendHandler
from shared.ids import MAX_INTEGER
from tests.infrastructure.server import wait_until
from tests.support.http_client import open_sync_client, tell
from tests.support.product import Product, running_product
from tests.support.raw_http import connected

WATCHES: Final = [
    (user, lesson) for user, last in enumerate((2, 5, 4, 3)) for lesson in range(last)
]
LONG_WAY: Final = b" "  # a body, of which neither way takes any notice

users = st.sampled_from(["0", "3", "007", "99", "-1", "me", "1.0", f"{MAX_INTEGER}", f"{2**63}"])
values = st.sampled_from(
    ["", "1", "2", "0", "+3", "3,4", "101", "true", "perhaps", "%C3%A4", "%FF"]
)
names = st.sampled_from(["limit", "exclude", "explain", "tag", "course_id", "after", "unheard_of"])
queries = st.lists(st.tuples(names, values), max_size=4)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Generator[Product]:
    with running_product(tmp_path_factory.mktemp("product")) as running:
        yield running


@pytest.fixture(scope="module")
def client(product: Product) -> Generator[httpx.Client]:
    for user, lesson in WATCHES:
        watch = {"user_id": user, "lesson_id": lesson, "position": 314}
        tell(f"{product.consumption_url}/watches", watch).raise_for_status()
    assert wait_until(lambda: product.applied() == len(WATCHES), is_dead=lambda: False)
    with open_sync_client(product.recommendation_url) as client:
        yield client


@given(user=users, query=queries)
@example("0", [])
@example("0", [("limit", "2"), ("limit", "1")])
@example("0", [("exclude", "3"), ("exclude", "4"), ("explain", "true")])
def test_both_ways_answer_alike(
    client: httpx.Client, user: str, query: list[tuple[str, str]]
) -> None:
    path = f"/users/{user}/recommendations?" + "&".join(f"{name}={value}" for name, value in query)
    headers = {"X-Request-ID": "of-both"}

    direct, long_way = (
        answer_to(client.request("GET", path.rstrip("?"), content=body, headers=headers))
        for body in (None, LONG_WAY)
    )

    assert direct == long_way


@pytest.mark.parametrize("query", [b"", b"limit=3", b"exclude=3&exclude=4&tag=a&explain=1"])
def test_what_is_plain_is_read_directly(query: bytes) -> None:
    target = b"/users/42/recommendations" + (b"?" + query if query else b"")
    scope = {"path": "/users/42/recommendations", "query_string": query}

    assert RecommendHandler.line.fullmatch(b"GET " + target)
    assert RecommendHandler.parse(RecommendHandler(None), scope, b"")  # type: ignore[arg-type]


async def test_pipelined_requests_are_answered_in_order(product: Product) -> None:
    lines = b"".join(
        b"GET /users/%d/recommendations HTTP/1.1\r\nhost: a\r\n\r\n" % n for n in range(20)
    )
    async with connected(product.recommendation_url) as connection:
        await connection.send(lines)
        users_answered = [(await connection.answer()).json()["user_id"] for _ in range(20)]

    assert users_answered == list(range(20))


def answer_to(answer: httpx.Response) -> tuple[int, dict[str, str], Any]:
    """What the answer says, but for scores, which depend on the time."""
    said = answer.json()
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in {"date", "content-length"}
    }
    if answer.is_success:
        for item in said["items"]:
            item["score"] = None
            item["because"] = item["because"] and [one["lesson_id"] for one in item["because"]]
    return answer.status_code, headers, said
