"""xAPI statements become watches, on both databases."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from consumption_service.record import decide
from consumption_service.record.xapi_statements import (
    COMPLETED,
    PAUSED,
    PLAYED,
    SEEKED,
    TERMINATED,
    VIDEO,
)

AT = "2026-01-01T00:00:{:02}Z".format


def statement(verb: str, at: int, **said: Any) -> dict[str, Any]:
    """What a player sends; `result` and `context` are extensions of the video profile."""
    result = {f"{VIDEO}/extensions/{name.replace('_', '-')}": it for name, it in said.items()}
    return {
        "id": str(uuid4()),
        "actor": {"account": {"homePage": "https://school.example", "name": "42"}},
        "verb": {"id": verb, "display": {"en": verb.rpartition("/")[2]}},
        "object": {"id": "https://school.example/lessons/100", "objectType": "Activity"},
        "result": {"extensions": result},
        "context": {
            "registration": "ec531277-b57b-4c15-8d91-d292c5b2b8f7",
            "extensions": {f"{VIDEO}/extensions/length": 600.4},
        },
        "timestamp": AT(at),
    }


SESSION = [
    statement(PLAYED, 0, time=0),
    statement(PAUSED, 1, time=120.5, played_segments="0[.]120.5"),
    statement(SEEKED, 2, time_from=120.5, time_to=500),
    statement(PLAYED, 3, time=500),
    statement(TERMINATED, 4, time=520.2, played_segments="0[.]120.5[,]500[.]520.2"),
]


async def post(consumption: httpx.AsyncClient, body: object) -> httpx.Response:
    return await consumption.post("/xapi/statements", json=body)


async def watches(consumption: httpx.AsyncClient) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await consumption.get("/watches")).json()["items"]
    return items


@pytest.mark.parametrize("order", ["together", "one by one", "backwards"])
async def test_the_statements_of_a_session_are_one_watch(
    consumption: httpx.AsyncClient, order: str
) -> None:
    parts: list[Any] = [SESSION] if order == "together" else list(SESSION)
    for part in reversed(parts) if order == "backwards" else parts:
        answer = await post(consumption, part)
        assert answer.status_code == 200, answer.text
        listed = part if isinstance(part, list) else [part]
        assert answer.json() == [one["id"] for one in listed]

    (watch,) = await watches(consumption)
    assert watch["user_id"] == 42
    assert watch["lesson_id"] == 100
    assert (watch["position"], watch["furthest"], watch["duration"]) == (520, 520, 600)
    assert watch["segments"] == [[0, 120], [500, 520]]
    assert watch["reported_at"] == AT(4)
    (progress,) = (await consumption.get("/users/42/progress")).json()["items"]
    assert (progress["watched_seconds"], progress["state"]) == (140, "started")


async def test_a_repeated_statement_changes_nothing(consumption: httpx.AsyncClient) -> None:
    await post(consumption, SESSION)
    before = await watches(consumption)
    stored = [{**one, "stored": AT(9), "authority": {"name": "a store"}} for one in SESSION]

    answer = await post(consumption, [*stored, *SESSION[:1]])

    assert answer.status_code == 200
    assert answer.json() == [one["id"] for one in [*SESSION, *SESSION[:1]]]
    assert await watches(consumption) == before


async def test_the_same_id_with_other_content_is_a_conflict_and_changes_nothing(
    consumption: httpx.AsyncClient,
) -> None:
    await post(consumption, SESSION[:1])
    before = await watches(consumption)
    other = {**statement(PAUSED, 7, time=1), "id": SESSION[0]["id"]}

    for body in (other, [SESSION[1], other], [SESSION[1], {**SESSION[2], "id": SESSION[1]["id"]}]):
        answer = await post(consumption, body)
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:upnext:problem:conflict"

    assert await watches(consumption) == before


async def test_the_same_statement_at_the_same_time_is_recorded_once(
    consumption: httpx.AsyncClient,
) -> None:
    answers = await asyncio.gather(*(post(consumption, SESSION) for _ in range(10)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(await watches(consumption)) == 1


async def test_each_session_is_a_watch_of_its_own(consumption: httpx.AsyncClient) -> None:
    sessions: list[dict[str, Any]] = []
    for change in ({"registration": str(uuid4())}, {"registration": str(uuid4())}, {}):
        sessions += [{**statement(PLAYED, n, time=n), "context": change} for n in (1, 2)]
    session_id = {f"{VIDEO}/extensions/session-id": "one of two of a registration"}
    same = sessions[0]["context"]
    sessions.append({**statement(PLAYED, 3, time=3), "context": same | {"extensions": session_id}})

    assert (await post(consumption, sessions)).status_code == 200

    assert sorted(one["position"] for one in await watches(consumption)) == [2, 2, 2, 3]


async def test_a_completed_lesson_is_finished(consumption: httpx.AsyncClient) -> None:
    await post(consumption, statement(COMPLETED, 1, progress=1, played_segments="0[.]600.4"))

    (progress,) = (await consumption.get("/users/42/progress")).json()["items"]
    assert (progress["state"], progress["percent"], progress["position"]) == ("finished", 100, 600)


async def test_other_verbs_are_accepted_and_change_nothing(consumption: httpx.AsyncClient) -> None:
    other = {
        "actor": {"mbox": "mailto:somebody@example.com"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/initialized"},
        "object": {"id": "https://school.example/welcome"},
    }

    answer = await post(consumption, other)

    assert answer.status_code == 200
    assert len(answer.json()) == 1
    assert await watches(consumption) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"actor": {"mbox": "mailto:42@example.com"}}, "actor.account.name"),
        ({"actor": {"account": {"name": "anna"}}}, "actor.account.name"),
        ({"actor": {"account": {"name": str(2**63)}}}, "actor.account.name"),
        ({"object": {"id": "https://school.example/lessons/intro"}}, "object.id"),
        ({"object": {"id": "lesson100"}}, "object.id"),
        ({"result": {}, "context": {}}, "extensions/time"),
        ({"result": {"extensions": {f"{VIDEO}/extensions/time": -1}}}, "extensions/time"),
        ({"result": {"extensions": {f"{VIDEO}/extensions/time": "1"}}}, "extensions/time"),
        (
            {"result": statement(PAUSED, 1, time=12, played_segments="0-12")["result"]},
            "played-segments",
        ),
        ({"context": {"extensions": {f"{VIDEO}/extensions/session-id": 7}}}, "session-id"),
        ({"context": {"registration": "first"}}, "registration"),
        ({"timestamp": "2999-01-01T00:00:00Z"}, "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"verb": {}}, "verb.id"),
    ],
)
async def test_one_wrong_statement_refuses_all_and_is_named(
    consumption: httpx.AsyncClient, change: dict[str, Any], named: str
) -> None:
    answer = await post(consumption, [SESSION[0], {**SESSION[1], **change}])

    assert answer.status_code == 422
    assert named in answer.json()["detail"]
    assert "1" in answer.json()["detail"].partition(named)[0]
    assert await watches(consumption) == []


async def test_more_segments_than_a_watch_holds_are_refused_and_may_be_sent_again(
    consumption: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as small:
        small.setattr(decide, "MAX_SEGMENTS", 1)
        refused = await post(consumption, SESSION)
        nothing = await watches(consumption)
    again = await post(consumption, SESSION)

    assert refused.status_code == 422
    assert "segments" in refused.json()["detail"]
    assert nothing == []
    assert again.status_code == 200
    (watch,) = await watches(consumption)
    assert watch["segments"] == [[0, 120], [500, 520]]


async def test_a_deleted_watch_does_not_come_back(consumption: httpx.AsyncClient) -> None:
    await post(consumption, SESSION[0])
    (watch,) = await watches(consumption)
    await consumption.delete(f"/watches/{watch['id']}")

    assert (await post(consumption, SESSION[1])).status_code == 200

    assert await watches(consumption) == []


async def test_after_an_erasure_nothing_of_the_session_is_known(
    consumption: httpx.AsyncClient,
) -> None:
    await post(consumption, SESSION)
    assert (await consumption.delete("/users/42")).status_code == 202

    assert (await post(consumption, SESSION[0])).status_code == 200

    (watch,) = await watches(consumption)
    assert watch["position"] == 0
