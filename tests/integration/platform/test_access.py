"""Access: who may do what, on both services, by keys and by tokens."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from shared.access.caller import Scope
from tests.support.credentials import (
    ADA,
    ADMIN,
    API_KEYS,
    BOB,
    ISSUER,
    KEYS,
    READER,
    SCOPES,
    WRITER,
    bearing,
    kind_of,
    watch_of,
)
from tests.support.pair import Pair, SetUp
from tests.support.tokens import Issuer, publish, settings_of

OPEN: Final = {"/health/live", "/health/ready", "/openapi.json", "/docs"}
JSON: Final = "application/json"


@pytest_asyncio.fixture
async def guarded(embedded: SetUp, tmp_path: Path) -> AsyncGenerator[Pair]:
    """Both services, which know the keys and the issuer."""
    settings: dict[str, Any] = settings_of(publish(tmp_path / "jwks.json", ISSUER))
    settings["api_keys"] = API_KEYS
    async with (
        embedded.recommendation(**settings) as recommendation,
        embedded.consumption(**settings) as consumption,
    ):
        yield Pair(consumption, recommendation)


@dataclass(frozen=True, slots=True)
class Operation:
    """A route, with something in the place of each parameter."""

    method: str
    path: str
    scope: Scope

    async def ask(self, client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
        return await client.request(self.method, self.path, headers=headers)


async def operations_of(client: httpx.AsyncClient) -> list[Operation]:
    document = (await client.get("/openapi.json")).json()
    assert {*document["components"]["securitySchemes"]} == {"key", "token"}
    return list(_operations(document))


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path in OPEN:
                assert operation["security"] == []
                continue
            key, token = operation["security"]
            assert (key, [*token]) == ({"key": []}, ["token"])
            assert {"401", "403", "429"} <= {*operation["responses"]}
            filled = path.replace("{watch_id}", str(UUID(int=1)))
            for name in ("user_id", "lesson_id", "parked_id", "erasure_id", "statement_id"):
                filled = filled.replace(f"{{{name}}}", "1")
            yield Operation(method.upper(), filled, Scope(token["token"][0]))


async def test_every_operation_asks_who_it_is_and_refuses_those_without_its_scope(
    guarded: Pair,
) -> None:
    for client in (guarded.consumption, guarded.recommendation):
        for operation in await operations_of(client):
            stranger = await operation.ask(client, {})
            assert (stranger.status_code, kind_of(stranger)) == (401, "unauthorized"), operation
            assert stranger.headers["www-authenticate"].startswith("Bearer")
            wrong = READER if operation.scope is not Scope.READ else WRITER
            refused = await operation.ask(client, wrong)
            assert (refused.status_code, kind_of(refused)) == (403, "forbidden"), operation
            for right in (bearing(KEYS[operation.scope]), ADMIN):
                admitted = await operation.ask(client, right)
                assert admitted.status_code not in {401, 403}, operation


async def test_what_only_tells_whether_the_service_runs_is_open(guarded: Pair) -> None:
    for client in (guarded.consumption, guarded.recommendation):
        assert {(await client.get(path)).status_code for path in OPEN} == {200}


@pytest.mark.parametrize("path", ["/metrics", "/nowhere", "/watches/", "/health/live/x", "//"])
async def test_what_is_not_in_the_document_is_for_admins(guarded: Pair, path: str) -> None:
    assert (await guarded.consumption.get(path)).status_code == 401
    assert (await guarded.consumption.get(path, headers=WRITER)).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer upnext_guess"},
        {"Authorization": f"Basic {KEYS[Scope.WRITE]}"},
        {"Authorization": "Bearer "},
        {"X-API-Key": KEYS[Scope.WRITE][:-1]},
        bearing(Issuer().token(sub="42", scope=SCOPES)),
    ],
)
async def test_what_is_no_good_credential_records_nothing(
    guarded: Pair, headers: dict[str, str]
) -> None:
    answer = await guarded.consumption.post("/watches", json=watch_of(42), headers=headers)

    assert (answer.status_code, kind_of(answer)) == (401, "unauthorized")
    assert await watches_of(guarded, ADMIN) == []


@pytest.mark.parametrize("headers", [WRITER, {"X-API-Key": KEYS[Scope.WRITE]}, ADMIN, ADA])
@pytest.mark.parametrize("content_type", [JSON, f"{JSON}; charset=utf-8"])  # direct, and FastAPI's
async def test_a_good_credential_records(
    guarded: Pair, headers: dict[str, str], content_type: str
) -> None:
    answer = await guarded.consumption.post(
        "/watches", json=watch_of(42), headers={**headers, "Content-Type": content_type}
    )

    assert answer.status_code == 201


@pytest.mark.parametrize("content_type", [JSON, f"{JSON}; charset=utf-8"])  # direct, and FastAPI's
async def test_a_users_token_records_for_its_user_only(guarded: Pair, content_type: str) -> None:
    headers = {**ADA, "Content-Type": content_type}
    answer = await guarded.consumption.post("/watches", json=watch_of(43), headers=headers)

    assert (answer.status_code, kind_of(answer)) == (403, "forbidden")
    assert await watches_of(guarded, ADMIN) == []


async def test_in_a_batch_each_watch_is_for_the_tokens_user_or_fails_alone(guarded: Pair) -> None:
    items = [watch_of(42), watch_of(43), watch_of(42, lesson_id=7)]

    answer = await guarded.consumption.post("/watches/batch", json={"items": items}, headers=ADA)

    assert [item["status"] for item in answer.json()["items"]] == [201, 403, 201]
    assert {watch["user_id"] for watch in await watches_of(guarded, ADMIN)} == {42}


async def test_to_a_users_token_there_are_no_watches_of_others(guarded: Pair) -> None:
    recorded = await guarded.consumption.post("/watches", json=watch_of(42), headers=ADA)
    place = recorded.headers["Location"]

    seen = await guarded.consumption.get(place, headers=BOB)
    moved = await guarded.consumption.patch(place, json={"position": 999}, headers=BOB)
    undone = await guarded.consumption.delete(place, headers=BOB)

    assert [answer.status_code for answer in (seen, moved, undone)] == [404, 404, 404]
    absent = await guarded.consumption.get(f"/watches/{uuid4()}", headers=BOB)
    assert {*seen.json()} == {*absent.json()}
    assert (await guarded.consumption.get(place, headers=ADA)).json()["position"] == 314
    assert await watches_of(guarded, BOB) == []
    assert len(await watches_of(guarded, ADA)) == 1
    other = await guarded.consumption.get("/watches", params={"user_id": 42}, headers=BOB)
    assert other.status_code == HTTPStatus.FORBIDDEN
    for answer in (
        await guarded.consumption.patch(place, json={"position": 999}, headers=ADA),
        await guarded.consumption.delete(place, headers=ADA),
    ):
        assert answer.is_success


async def test_a_users_token_is_recommended_its_own_lessons_only(guarded: Pair) -> None:
    own = await guarded.recommendation.get("/users/42/recommendations", headers=ADA)
    other = await guarded.recommendation.get("/users/43/recommendations", headers=ADA)
    anybodys = await guarded.recommendation.get("/lessons/popular", headers=ADA)

    assert [own.status_code, other.status_code, anybodys.status_code] == [200, 403, 200]
    assert (await guarded.recommendation.get("/stats", headers=ADA)).status_code == 403


async def test_every_answer_tells_browsers_what_not_to_do_with_it(guarded: Pair) -> None:
    answers = [
        await guarded.consumption.post("/watches", json=watch_of(42), headers=WRITER),
        await guarded.consumption.get("/nowhere", headers=ADMIN),
        await guarded.consumption.get("/watches"),
        await guarded.recommendation.get("/users/42/recommendations", headers=ADA),
    ]

    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def watches_of(guarded: Pair, headers: dict[str, str]) -> list[dict[str, Any]]:
    answer = await guarded.consumption.get("/watches", headers=headers)
    items: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
    return items
