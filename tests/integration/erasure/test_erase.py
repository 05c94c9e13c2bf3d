"""Erasing a user: nothing of it stays, whatever was under way, and the receipt says so."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select

from consumption_service.publish import outbox_relay
from consumption_service.tables import idempotency_keys, outbox
from shared.broker.in_process import InProcessBroker
from shared.broker.interface import Broker, Message, PublishOutcome, Subscription
from shared.broker.topology import (
    CONSUMPTION_ERASURE_PARKED,
    ERASURE,
    RECOMMENDATION_WATCH,
)
from shared.clock import utc_now
from shared.database.database import open_database
from tests.support.eventually import PATIENCE, eventually, within
from tests.support.pair import SetUp

WATCH = {"user_id": 42, "lesson_id": 100, "position": 314}


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leftovers are relayed at once."""
    monkeypatch.setattr(outbox_relay, "RELAY_GRACE", timedelta(0))
    monkeypatch.setattr(outbox_relay, "RELAY_INTERVAL", 0.05)


class Told(NamedTuple):
    """A message of the exchange `watch`."""

    kind: str
    id: str | None
    body: dict[str, Any]
    user: object  # in the header


async def take(source: Subscription, count: int) -> list[Told]:
    """Take so many messages."""
    told: list[Told] = []
    async with asyncio.timeout(PATIENCE):
        while len(told) < count:
            for one in await source.receive(count - len(told)):
                body, user = json.loads(one.body), one.headers.get("x-user-id")
                told.append(Told(one.routing_key, one.message_id, body, user))
                await source.ack(one.tag)
    return told


async def post(consumption: httpx.AsyncClient, user_id: int, key: str | None = None) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    body = {**WATCH, "user_id": user_id}
    answer = await consumption.post("/watches", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def erase(consumption: httpx.AsyncClient, user_id: int) -> Any:
    answer = await consumption.delete(f"/users/{user_id}")
    assert answer.status_code == 202, answer.text
    receipt = answer.json()
    assert answer.headers["Location"] == f"/erasures/{receipt['id']}"
    return receipt


async def confirm(broker: Broker, receipt: Any, done_at: datetime, **other: object) -> None:
    """Say what the recommendation service says when it has erased a user."""
    said = {"erasure_id": receipt["id"], "user_id": receipt["user_id"], **other}
    body = json.dumps({**said, "done_at": done_at.isoformat()}).encode()
    message = Message(str(uuid4()), "done", body, type="erasure.done")
    async with broker.publisher(ERASURE) as publisher:
        async with asyncio.timeout(PATIENCE):
            assert await publisher.publish([message]) == [PublishOutcome.CONFIRMED]


async def test_nothing_of_an_erased_user_stays(database_url: str) -> None:
    set_up = SetUp(database_url, "", InProcessBroker())
    async with set_up.consumption() as consumption, open_database(database_url) as database:
        for user_id in (42, 7, 42):
            await post(consumption, user_id, key=str(uuid4()))

        receipt = await erase(consumption, 42)

        listed = (await consumption.get("/watches")).json()["items"]
        assert [watch["user_id"] for watch in listed] == [7]
        async with database.read() as connection:
            users = list(await connection.scalars(select(idempotency_keys.c.user_id)))
            waiting = (await connection.execute(select(outbox.c.kind, outbox.c.user_id))).all()
        assert users == [7]
        assert sorted(waiting) == [("created", 7), ("erased", None)]
        assert (await consumption.get(f"/erasures/{receipt['id']}")).json() == receipt


async def test_what_waited_for_the_broker_is_never_published(database_url: str) -> None:
    broker = InProcessBroker()
    async with SetUp(database_url, "", broker).consumption() as consumption:
        await post(consumption, 42)
        (others,) = [await post(consumption, 7)]
        receipt = await erase(consumption, 42)

        async with broker.subscription(RECOMMENDATION_WATCH, 10) as source:
            told = await take(source, 2)

    assert {one.user: one.kind for one in told} == {"7": "created", "42": "erased"}
    bodies = {(one.kind, one.id): one.body for one in told}
    assert bodies.keys() == {("created", others["id"]), ("erased", receipt["id"])}
    assert bodies["erased", receipt["id"]] == {
        "user_id": 42,
        "erasure_id": receipt["id"],
        "erased_at": receipt["requested_at"],
    }


async def test_what_waited_in_memory_is_never_published(database_url: str) -> None:
    broker = InProcessBroker()
    async with (
        broker.subscription(RECOMMENDATION_WATCH, 10) as source,
        SetUp(database_url, "", broker).consumption() as consumption,
    ):
        await post(consumption, 7)
        # Until it is settled, nothing else is published.
        (delivery,) = await within(source.receive(1))
        await post(consumption, 42)
        await erase(consumption, 42)
        await source.ack(delivery.tag)
        (told,) = await take(source, 1)

    assert told.kind == "erased"


async def test_a_user_may_come_back_and_be_erased_again(database_url: str) -> None:
    async with SetUp(database_url, "", InProcessBroker()).consumption() as consumption:
        await post(consumption, 42)
        first = await erase(consumption, 42)
        watch = await post(consumption, 42)
        assert watch["recorded_at"] > first["requested_at"]

        second = await erase(consumption, 42)

        assert second["requested_at"] > watch["recorded_at"]
        assert (await consumption.get("/watches")).json()["items"] == []
        for receipt in (first, second):
            answer = await consumption.get(f"/erasures/{receipt['id']}")
            assert answer.json() == receipt


async def test_the_receipt_says_when_the_recommendation_service_has_done_it(
    set_up: SetUp,
) -> None:
    async with set_up.consumption() as consumption:
        receipt = await erase(consumption, 42)
        assert receipt["consumption"]["done_at"] == receipt["requested_at"]
        assert (receipt["recommendation"]["done_at"], receipt["done"]) == (None, False)

        async def is_done() -> Any:
            answer = (await consumption.get(f"/erasures/{receipt['id']}")).json()
            return answer if answer["done"] else None

        await eventually(lambda: is_ready(consumption))
        at = utc_now()
        await confirm(set_up.broker, receipt, at)
        done = await eventually(is_done)
        assert datetime.fromisoformat(done["recommendation"]["done_at"]) == at

        await confirm(set_up.broker, receipt, utc_now())
        assert await is_done() == done


async def is_ready(consumption: httpx.AsyncClient) -> bool:
    parts = (await consumption.get("/health/ready")).json()["parts"]
    return bool(parts["receipts"] == "ok")


async def test_a_message_about_no_erasure_is_parked_and_stops_nothing(real: SetUp) -> None:
    async with real.consumption() as consumption:
        receipt = await erase(consumption, 42)
        await eventually(lambda: is_ready(consumption))

        await confirm(real.broker, {**receipt, "id": str(uuid4())}, utc_now())
        await confirm(real.broker, receipt, utc_now(), user_id=43)
        await confirm(real.broker, receipt, utc_now(), erasure_id="nonsense")
        await confirm(real.broker, receipt, utc_now())

        async def is_done() -> bool:
            return bool((await consumption.get(f"/erasures/{receipt['id']}")).json()["done"])

        await eventually(is_done)

    async with real.broker.subscription(CONSUMPTION_ERASURE_PARKED, 10) as source:
        assert len(await take(source, 3)) == 3


@pytest.mark.parametrize("user_id", [-1, 2**63, "x"])
async def test_a_user_that_cannot_be_is_a_problem(
    consumption: httpx.AsyncClient, user_id: object
) -> None:
    assert (await consumption.delete(f"/users/{user_id}")).status_code == 422


async def test_an_unknown_erasure_is_a_problem(consumption: httpx.AsyncClient) -> None:
    assert (await consumption.get(f"/erasures/{uuid4()}")).status_code == 404


async def test_erasing_whom_nobody_knows_gets_a_receipt_too(database_url: str) -> None:
    async with SetUp(database_url, "", InProcessBroker()).consumption() as consumption:
        await erase(consumption, 2**63 - 1)
        async with open_database(database_url) as database, database.read() as connection:
            assert await connection.scalar(select(func.count()).select_from(outbox)) == 1
