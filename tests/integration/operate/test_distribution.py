"""Distribution: what requests and events do in the databases names the key of each large table.

So a database on many machines (Citus) finds the rows without asking all of them. Which keys those
are, and what else there is to say, stands in docs/deployment.md.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.schema import MetaData

from consumption_service.tables import metadata as recorded
from recommendation_service.tables import metadata as known
from tests.support.eventually import within
from tests.support.pair import Pair, SetUp, learned
from tests.support.repository import ROOT

KEYS: Final = {
    "watches": "id",
    "idempotency_keys": "key",
    "inbox": "event_id",
    "learned_watches": "user_id",
    "meetings": "user_id",
    "hidden_lessons": "user_id",
}
# These may ask every machine: what one user watched; what is deleted with age; and, once for each
# batch of events, since when and until when its lessons were met.
ASKS_ALL: Final = (
    re.compile(r"FROM watches\s+WHERE watches\.user_id = "),
    re.compile(r"min\(meetings\.met_at\).* FROM meetings WHERE meetings\.lesson_id = "),
    re.compile(r"^DELETE FROM \w+ WHERE .*(recorded_at|learned_at) <"),
)


@contextmanager
def statements() -> Iterator[set[str]]:
    """Collect what is executed while the block lasts."""
    seen: set[str] = set()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.add(" ".join(statement.split()))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_whatever_is_done_for_a_watch_names_the_key_of_each_table(real: SetUp) -> None:
    async with real.both() as pair:
        with statements() as seen:
            await exercise(pair)

    touched = {table for table in KEYS for one in seen if touches(one, table)}
    assert touched >= {"watches", "idempotency_keys", "inbox", "learned_watches", "meetings"}
    asked = [one for one in seen if not any(pattern.search(one) for pattern in ASKS_ALL)]
    assert [(table, one) for table in KEYS for one in asked if not names_key(one, table)] == []


async def exercise(pair: Pair) -> None:
    places = await pair.watch(42, 100, 200, 300)
    await pair.watch(7, 100, 200)
    with_key = {"Idempotency-Key": "a-1"}
    body = {"user_id": 7, "lesson_id": 300, "position": 1}
    assert (await pair.consumption.post("/watches", json=body, headers=with_key)).is_success
    reports = (pair.consumption.patch(place, json={"position": 500}) for place in places)
    assert all(answer.is_success for answer in await within(asyncio.gather(*reports)))
    assert (await pair.consumption.get(places[0])).is_success
    assert (await pair.consumption.delete(places[0])).is_success
    await learned(pair.recommendation, 10)
    await pair.recommended(7)


def touches(statement: str, table: str) -> bool:
    return re.search(rf"\b(FROM|INTO|UPDATE|JOIN) {table}\b", statement) is not None


def names_key(statement: str, table: str) -> bool:
    """Tell whether the statement leaves the table alone, or says of which key it is."""
    if not touches(statement, table):
        return True
    key = KEYS[table]
    inserted = re.search(rf"INTO {table} \(([^)]*)\)", statement)
    if inserted:
        return key in inserted[1].split(", ")
    return re.search(rf"\b{table}\.{key} (=|IN)", statement) is not None


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT watches.id FROM watches WHERE watches.lesson_id = $1",
        "SELECT watches.id FROM watches ORDER BY watches.id",
        "INSERT INTO watches (user_id) SELECT 1",
        "UPDATE watches SET position = $1 WHERE watches.user_id = $2",
    ],
)
def test_a_statement_that_would_ask_every_machine_is_found(statement: str) -> None:
    assert not names_key(statement, "watches")


@pytest.mark.parametrize("metadata", [recorded, known], ids=["consumption", "recommendation"])
def test_what_has_to_be_unique_includes_the_key(metadata: MetaData) -> None:
    for name in KEYS.keys() & metadata.tables.keys():
        table = metadata.tables[name]
        for index in table.indexes:
            assert not index.unique or KEYS[name] in index.columns
        assert KEYS[name] in table.primary_key.columns


def test_the_keys_are_those_of_the_page() -> None:
    page = (ROOT / "docs/deployment.md").read_text()

    assert dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", page, re.MULTILINE)) == KEYS
