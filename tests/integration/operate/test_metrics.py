"""`/metrics`: what is counted is what happened, and what dashboards and alerts name is there."""

import json
import re
from collections.abc import AsyncGenerator
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from shared.broker.interface import Message
from shared.broker.topology import WATCH
from shared.http.request_ids import RequestMiddleware
from shared.process.metrics import collect_request_metrics
from tests.support.eventually import eventually
from tests.support.pair import Pair, SetUp, client_of, learned, parked
from tests.support.repository import ROOT

OBSERVABILITY: Final = ROOT / "deploy" / "observability"
NAME: Final = re.compile(r"\b(?:upnext|process)_[a-z_]+\b")

Labels = dict[str, str]


async def read(service: httpx.AsyncClient) -> dict[str, list[tuple[Labels, float]]]:
    answer = await service.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    found: dict[str, list[tuple[Labels, float]]] = {}
    for family in text_string_to_metric_families(answer.text):
        found[family.name] = []
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


async def value(service: httpx.AsyncClient, name: str, **labels: str) -> float:
    samples = (await read(service)).get(name, [])
    return sum(value for found, value in samples if labels.items() <= found.items())


@pytest_asyncio.fixture
async def both(embedded: SetUp) -> AsyncGenerator[Pair]:
    async with embedded.both() as pair:
        yield pair


async def test_every_request_is_counted_by_its_route(both: Pair) -> None:
    await both.watch(42, 100, 101)
    for path in ("/watches?user_id=42", "/watches?user_id=43", "/nowhere", "/nowhere/else"):
        await both.consumption.get(path)
    await both.consumption.post("/watches", json={"user_id": "somebody"})

    found = await read(both.consumption)

    counts = {
        (labels["method"], labels["route"], labels["status"]): count
        for labels, count in found["upnext_http_request_seconds_count"]
    }
    assert counts == {
        ("POST", "/watches", "201"): 2,
        ("POST", "/watches", "422"): 1,
        ("GET", "/watches", "200"): 2,
        ("GET", "unknown", "404"): 2,
    }


async def test_a_request_that_fails_is_counted_as_an_error() -> None:
    app = FastAPI()
    app.add_middleware(RequestMiddleware, seconds=collect_request_metrics(app))

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await client.get("/bug")

    async with client_of(app) as client:
        name = "upnext_http_request_seconds_count"
        assert await value(client, name, route="/bug", status="500") == 1


async def test_a_histogram_counts_each_value_up_to_its_bound(both: Pair) -> None:
    await both.watch(42, 1, 2, 3)
    await learned(both.recommendation, 3)

    async def all_three() -> list[tuple[Labels, float]]:
        found = (await read(both.recommendation))["upnext_freshness_seconds_bucket"]
        labels, count = found[-1]
        return found if labels == {"le": "+Inf"} and count == 3 else []

    counts = [count for _, count in await eventually(all_three)]
    assert counts == sorted(counts)


async def test_a_watch_is_counted_on_its_whole_way(pair: Pair) -> None:
    await pair.watch(42, 1, 2, 3)
    await learned(pair.recommendation, 3)

    assert await value(pair.consumption, "upnext_commit_commands_sum") == 3
    assert await value(pair.recommendation, "upnext_applied_events") == 3
    assert await value(pair.recommendation, "upnext_model_lessons") == 3

    async def counted() -> bool:
        """What follows a commit is counted a moment later."""
        names = ("deliveries_total", "learn_messages_sum", "freshness_seconds_count")
        learned = [await value(pair.recommendation, f"upnext_{name}") for name in names]
        published = "upnext_published_events_total"
        return (
            learned == [3, 3, 3]
            and await value(pair.consumption, published, outcome="confirmed") == 3
        )

    await eventually(counted)


async def test_the_outbox_has_a_size_and_an_age(consumption: httpx.AsyncClient) -> None:
    await consumption.post("/watches", json={"user_id": 42, "lesson_id": 1, "position": 0})

    async def waits() -> bool:
        size = await value(consumption, "upnext_outbox_events")
        age = await value(consumption, "upnext_outbox_oldest_seconds")
        return size == 1 and age > 0

    await eventually(waits)


async def test_a_parked_message_is_counted_by_its_reason(embedded: SetUp) -> None:
    unreadable = Message(message_id="1", routing_key="paused", body=b"")
    async with embedded.recommendation() as recommendation:
        async with embedded.broker.publisher(WATCH) as publisher:
            await publisher.publish([unreadable])
        await parked(recommendation, 1)
        reasons = (await read(recommendation))["upnext_parked_messages"]

    assert {labels["reason"]: count for labels, count in reasons if count} == {"unknown kind": 1}


@pytest.mark.parametrize("file", ["grafana.json", "alerts.yml"])
async def test_what_is_shown_or_alerted_on_is_counted(both: Pair, file: str) -> None:
    await both.watch(42, 1)
    await learned(both.recommendation, 1)
    text = (OBSERVABILITY / file).read_text()
    if file.endswith(".json"):
        text = "\n".join(expressions(json.loads(text)))

    named = set(NAME.findall(text))

    counted = {*await read(both.consumption), *await read(both.recommendation)}
    assert named, "the pattern fits nothing"
    assert named - counted == set()


def expressions(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["expr"]] if "expr" in part else []
        return own + [one for value in part.values() for one in expressions(value)]
    return [one for value in part for one in expressions(value)] if isinstance(part, list) else []
