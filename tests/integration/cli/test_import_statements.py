"""`upnext import` of xAPI statements, into the product as people run it."""

import gzip
import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from consumption_service.record.xapi_statements import COMPLETED, PLAYED
from tests.integration.record.test_xapi import statement
from tests.support.http_client import ask
from tests.support.product import Product, running_product

VIEWS = 150  # more statements than are sent at once


@pytest.fixture(scope="module")
def shared_product(tmp_path_factory: pytest.TempPathFactory) -> Generator[Product]:
    """One product for all tests here, each with users of its own."""
    with running_product(tmp_path_factory.mktemp("product")) as product:
        yield product


@pytest.fixture
def product(shared_product: Product, tmp_path: Path) -> Product:
    """A product whose commands run in a folder of this test's own."""
    return shared_product.seen_from(tmp_path)


def statements_of(user_id: int) -> list[dict[str, Any]]:
    """What a user's player told about many lessons."""
    said = [statement(PLAYED, n % 60, time=3) for n in range(VIEWS)]
    said += [statement(COMPLETED, 59, time=600) for _ in range(VIEWS)]
    for n, one in enumerate(said):
        one["actor"]["account"]["name"] = str(user_id)
        one["object"]["id"] = f"https://school.example/lessons/{n % VIEWS}"
    return said


def watches_of(product: Product, user_id: int) -> list[dict[str, Any]]:
    query = {"user_id": user_id, "limit": 1000}
    answer = ask(f"{product.consumption_url}/watches", params=query)
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def as_lines(statements: Sequence[object]) -> str:
    return "\n".join(map(json.dumps, statements))


@pytest.mark.parametrize("form", ["array", "lines", "store", "gzip"])
async def test_every_statement_is_recorded_once(
    product: Product, tmp_path: Path, form: str
) -> None:
    user_id = 70_000 + ["array", "lines", "store", "gzip"].index(form)
    said, file = statements_of(user_id), tmp_path / "statements"
    texts = {
        "array": json.dumps(said, indent=1),
        "lines": as_lines(said),
        "store": json.dumps({"statements": said, "more": ""}),
        "gzip": as_lines(said),
    }
    content = texts[form].encode()
    file.write_bytes(gzip.compress(content) if form == "gzip" else content)

    for _ in range(2):
        done = product.run("import", file)
        assert done.returncode == 0, done.stderr
        assert f"{2 * VIEWS} statements sent, {2 * VIEWS} accepted, 0 refused" in done.stdout

    watches = watches_of(product, user_id)
    assert len(watches) == VIEWS
    assert {watch["position"] for watch in watches} == {600}


async def test_refused_statements_are_kept_with_their_reasons_and_may_come_again(
    product: Product, tmp_path: Path
) -> None:
    said = statements_of(70_010)[:9]
    said[3]["actor"] = {"mbox": "mailto:70010@example.com"}
    without_id = {name: it for name, it in statement(PLAYED, 1, time=3).items() if name != "id"}
    file = tmp_path / "statements.jsonl"
    file.write_text(as_lines([*said, 42, without_id]))

    done = product.run("import", file)

    assert done.returncode == 1
    assert "11 statements sent, 9 accepted, 2 refused" in done.stdout
    assert "actor.account.name" in done.stderr
    assert len(watches_of(product, 70_010)) == 8
    rejected = tmp_path / "statements.jsonl.rejected.jsonl"
    first, second = map(json.loads, rejected.read_text().splitlines())
    assert first.pop("refused_because").startswith("statement 0: actor.account.name")
    assert first == said[3]
    assert second["statement"] == 42

    first["actor"] = said[0]["actor"]
    rejected.write_text(as_lines([{**first, "refused_because": "earlier"}]))
    assert "1 accepted" in product.run("import", rejected).stdout
    assert len(watches_of(product, 70_010)) == 9


async def test_a_file_that_is_not_json_to_its_end_is_not_sent(
    product: Product, tmp_path: Path
) -> None:
    file = tmp_path / "statements.json"
    file.write_text(json.dumps(statements_of(70_020))[:-40])

    done = product.run("import", file)

    assert done.returncode != 0
    assert "Cannot read" in done.stderr
    assert f"value {2 * VIEWS - 1} is not JSON" in done.stderr
    assert watches_of(product, 70_020) == []
