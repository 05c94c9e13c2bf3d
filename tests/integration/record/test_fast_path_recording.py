"""POST /watches has two ways: what is plain takes the short one, and both answer alike."""

import json
from collections.abc import AsyncGenerator, Generator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from hypothesis import example, given
from hypothesis import strategies as st

from consumption_service.api.dependencies import AppState
from consumption_service.api.fast_path import RecordWatchHandler
from consumption_service.publish.outbox_relay import OutboxRelay
from consumption_service.record.group_commit import GroupCommit
from consumption_service.settings import ConsumptionSettings
from shared.access.caller import ANONYMOUS_ADMIN, Scope
from shared.access.keys import key_line, new_key
from shared.broker.in_process import InProcessBroker
from shared.database.database import Database
from shared.ids import MAX_INTEGER
from shared.process.background import running
from tests.support.http_client import open_sync_client
from tests.support.product import Product, running_product
from tests.support.raw_http import connected, post
from tests.support.tokens import Issuer, publish, settings_of

WATCH: Final = b'{"user_id": 42, "lesson_id": 100, "position": 314}'
TIMED: Final = (
    b'{"user_id": 1, "lesson_id": 2, "position": 3, "occurred_at": "2026-11-23T10:00:00Z"}'
)
JSON: Final = (b"content-type", b"application/json")
DIRECT, LONG_WAY = "/watches", "/watches?"  # a query, even an empty one, goes the long way
NOW: Final = {"id", "occurred_at", "reported_at", "recorded_at"}  # different for each watch

numbers = st.integers(0, 5) | st.sampled_from([MAX_INTEGER, MAX_INTEGER + 1, -1, 4.0, 4.5])
values: st.SearchStrategy[Any] = (
    numbers | st.none() | st.booleans() | st.text(max_size=3) | st.just([])
)
times = st.sampled_from(["2026-11-23T10:00:00.5+01:00", "2026-11-23", "4000-01-01T00:00:00Z", "1"])
names = st.sampled_from(["user_id", "lesson_id", "position", "duration", 'a"', "ä"])
likely = st.fixed_dictionaries(
    {"user_id": numbers, "lesson_id": numbers, "position": numbers},
    optional={"duration": numbers | st.none(), "occurred_at": times | st.none()},
)
members = likely.map(lambda watch: list(watch.items())) | st.lists(st.tuples(names, values))
content_types = st.sampled_from(["application/json"] * 5 + ["application/json; a=b", "text/plain"])


def written(pairs: Sequence[tuple[str, Any]]) -> bytes:
    """An object with these names, in this order, some of them more than once."""
    return b"{%b}" % ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in pairs).encode()


bodies = members.map(written) | st.binary(max_size=4) | st.just(WATCH + b"\xff")


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Generator[Product]:
    with running_product(tmp_path_factory.mktemp("product")) as running:
        yield running


@pytest.fixture(scope="module")
def client(product: Product) -> Generator[httpx.Client]:
    with open_sync_client(product.consumption_url) as client:
        yield client


@pytest_asyncio.fixture
async def recording(consumption_database: Database) -> AsyncGenerator[RecordWatchHandler]:
    settings = ConsumptionSettings()
    relay = OutboxRelay(consumption_database, InProcessBroker(), max_outbox=10)
    group_commit = GroupCommit(consumption_database, relay, max_waiting=10)
    async with running(group_commit.run(), "commit"):
        yield RecordWatchHandler(AppState(settings, consumption_database, group_commit), 1000)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([JSON], WATCH),
        ([JSON], TIMED),
        ([(b"host", b"localhost"), JSON, (b"idempotency-key", b"a")], WATCH),
        ([JSON], WATCH.replace(b"}", b', "duration": null, "occurred_at": null}')),
    ],
)
async def test_what_is_plain_is_recorded_directly(
    recording: RecordWatchHandler, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    asked = recording.parse({"headers": headers}, body)

    assert asked
    answer = recording.respond(await recording.start(asked, ANONYMOUS_ADMIN))
    assert answer.status == 201
    assert json.loads(answer.body)["user_id"] == json.loads(body)["user_id"]


@given(body=bodies, content_type=content_types)
@example(WATCH.replace(b"}", b', "user_id": 42}'), "application/json")
@example(WATCH.replace(b"user_id", b"user\\u005fid"), "application/json")
@example(WATCH.replace(b"{", b'{"user_id": 1, "\\u0075ser_id": 2, '), "application/json")
@example(TIMED, "application/json")
def test_both_ways_answer_alike(client: httpx.Client, body: bytes, content_type: str) -> None:
    headers = {"Content-Type": content_type, "X-Request-ID": "of-both"}

    direct, long_way = (
        answer_to(client.post(path, content=body, headers=headers)) for path in (DIRECT, LONG_WAY)
    )

    assert direct == long_way


@pytest.mark.parametrize("key", ["", "a", "ä" * 255, "b" * 256])
def test_keys_mean_the_same_on_both_ways(client: httpx.Client, key: str) -> None:
    headers = [JSON, (b"idempotency-key", key.encode("latin-1"))]

    first = client.post(DIRECT, content=WATCH, headers=headers)
    again = client.post(LONG_WAY, content=WATCH, headers=headers)
    other = client.post(DIRECT, content=TIMED, headers=headers)

    taken = 1 <= len(key) <= 255
    statuses = (first.status_code, again.status_code, other.status_code)
    assert statuses == ((201, 200, 409) if taken else (422, 422, 422))
    assert (first.json() == again.json()) or not taken


def test_both_ways_ask_who_it_is(tmp_path: Path) -> None:
    keys = {scope: new_key() for scope in (Scope.WRITE, Scope.READ)}
    issuer = Issuer()
    ada, bob = (issuer.token(sub=user, scope=Scope.WRITE) for user in ("42", "43"))
    credentials = [*keys.values(), ada, bob, "upnext_unheard_of", "a.b.c"]
    lines = "\n".join(key_line(key, scope.name.lower(), [scope]) for scope, key in keys.items())
    trusted = settings_of(publish(tmp_path / "jwks.json", issuer))
    settings = {"API_KEYS": lines} | {name.upper(): value for name, value in trusted.items()}
    with (
        running_product(tmp_path, settings) as product,
        open_sync_client(product.consumption_url, headers=[JSON]) as client,
    ):
        statuses = {
            path: [
                client.post(path, content=WATCH, headers=bearing(credential)).status_code
                for credential in credentials
                for _ in range(2)  # one that is verified is known afterwards
            ]
            for path in (DIRECT, LONG_WAY)
        }

    assert statuses[DIRECT] == statuses[LONG_WAY]
    assert statuses[DIRECT][::2] == [201, 403, 201, 403, 401, 401]


def test_both_ways_keep_the_pace(tmp_path: Path) -> None:
    with (
        running_product(tmp_path, {"RATE_LIMIT": "0.001"}) as product,
        open_sync_client(product.consumption_url, headers=[JSON]) as client,
    ):
        statuses = [
            client.post(path, content=WATCH).status_code for path in (DIRECT, DIRECT, LONG_WAY)
        ]

    assert statuses == [201, 429, 429]


def test_a_request_that_is_refused_directly_counts_once(tmp_path: Path) -> None:
    issuer = Issuer()
    bob = issuer.token(sub="43", scope=Scope.WRITE)
    trusted = settings_of(publish(tmp_path / "jwks.json", issuer))
    settings = {"RATE_LIMIT": "20"} | {name.upper(): value for name, value in trusted.items()}
    with (
        running_product(tmp_path, settings) as product,
        open_sync_client(product.consumption_url, headers=[JSON]) as client,
    ):
        answers = [client.post(DIRECT, content=WATCH, headers=bearing(bob)) for _ in range(20)]

    long_way, *_, direct = answers
    assert {answer.status_code for answer in answers} == {403}
    assert direct.json() == long_way.json()
    assert direct.headers.keys() == long_way.headers.keys()


def bearing(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


async def test_pipelined_requests_are_answered_in_order(product: Product) -> None:
    numbered = [WATCH.replace(b"314", b"%d" % number) for number in range(20)]
    async with connected(product.consumption_url) as client:
        await client.send(b"".join(post(body) for body in numbered))
        positions = [(await client.answer()).json()["position"] for _ in numbered]

    assert positions == list(range(20))


def answer_to(answer: httpx.Response) -> tuple[int, dict[str, str], dict[str, Any]]:
    """What the answer says, but for what differs between two watches that are the same."""
    said = answer.json()
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    if answer.is_success:
        assert headers.pop("location") == f"/watches/{said['id']}"
        return answer.status_code, headers, {**said, **dict.fromkeys(NOW)}
    return answer.status_code, headers, said
