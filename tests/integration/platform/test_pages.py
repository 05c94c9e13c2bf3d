"""The pages, as what they are made of: open to everybody, safe, and complete without a network."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any, Final

import pytest

from shared.access.caller import Scope
from shared.access.keys import key_line, new_key
from tests.support.http_client import open_client
from tests.support.pair import Pair, SetUp
from tests.support.product import running_product

LINK: Final = re.compile(r'(?:href|src)="([^"#]+)"')
ELSEWHERE: Final = re.compile(r"^(?:https?:)?//")
PAGES: Final = {"the dashboard": "/", "the documentation": "/docs"}


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
async def test_a_page_is_complete_and_loads_nothing_from_elsewhere(pair: Pair, path: str) -> None:
    page = await pair.recommendation.get(path)

    links = LINK.findall(page.text)
    assert links
    assert [link for link in links if ELSEWHERE.match(link)] == []
    for link in links:
        if not link.startswith("data:"):
            assert (await pair.recommendation.get(f"/{link}")).status_code == 200, link
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "unsafe" not in page.headers["Content-Security-Policy"]


async def test_with_keys_the_pages_are_open_and_what_they_show_is_not(embedded: SetUp) -> None:
    api_keys = key_line(new_key(), "admin", [Scope.ADMIN])
    async with embedded.recommendation(api_keys=api_keys) as client:
        for path in ("/", "/dashboard/static/main.js", "/docs", "/docs/docs.js"):
            assert (await client.get(path)).status_code == 200, path
        for path in ("/dashboard/events", "/dashboard/watches", "/parked", "/docs/../stats"):
            assert (await client.get(path)).status_code in {401, 404}, path


async def test_the_page_reaches_the_consumption_service_and_nothing_else(tmp_path: Path) -> None:
    with running_product(tmp_path) as product:
        async with open_client(product.recommendation_url) as page:
            body = {"user_id": 42, "lesson_id": 100, "position": 314}
            recorded = await page.post("/dashboard/watches", json=body)
            history = await page.get("/dashboard/watches?user_id=42&limit=1")
            wrong = await page.post("/dashboard/watches", json={"user_id": "x"})
            elsewhere = await page.get("/dashboard/health/live")

    assert recorded.status_code == 201
    assert [watch["id"] for watch in history.json()["items"]] == [recorded.json()["id"]]
    assert wrong.status_code == 422
    assert wrong.headers["Content-Type"] == "application/problem+json"
    assert elsewhere.status_code == 404


async def test_without_the_consumption_service_the_page_says_so(embedded: SetUp) -> None:
    async with embedded.recommendation(consumption_url="http://127.0.0.1:1") as client:
        answer = await client.get("/dashboard/watches")

    assert answer.status_code == 503
    assert "does not answer at http://127.0.0.1:1" in answer.json()["detail"]


async def test_a_stream_begins_with_the_past_goes_on_and_ends_with_the_service(
    tmp_path: Path,
) -> None:
    news: list[dict[str, Any]] = []
    with running_product(tmp_path) as product:
        client = open_client(product.recommendation_url)
        async with client, client.stream("GET", "/dashboard/events") as stream:
            # It is read to its end: a stream that is cut off would be an error.
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    news.append(json.loads(line.removeprefix("data:")))
                if line and len(news) == 2:
                    os.kill(product.pid, signal.SIGTERM)

    assert len(news) >= 2
    assert news[0]["applied"] == 0
    assert [len(one["samples"]) for one in news[1:]] == [1] * len(news[1:])
    assert news[0]["health"]["recommendation"]["status"] == "ready"
    assert news[1]["samples"][0]["at"] > news[0]["samples"][0]["at"]
