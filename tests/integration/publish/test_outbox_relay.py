"""Announcing: every committed event reaches the exchange, and leaves the outbox only then."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, text

from consumption_service.publish import outbox_relay
from consumption_service.publish.outbox_relay import OutboxRelay
from consumption_service.tables import outbox
from shared.broker.in_process import InProcessBroker
from shared.broker.interface import Delivery, Subscription
from shared.broker.topology import RECOMMENDATION_WATCH
from shared.clock import utc_now
from shared.database.database import Database
from shared.process.background import running
from shared.uuid7 import first_id_at, new_id
from tests.support.eventually import PATIENCE, eventually, within


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leftovers are relayed at once."""
    monkeypatch.setattr(outbox_relay, "RELAY_GRACE", timedelta(0))
    monkeypatch.setattr(outbox_relay, "RELAY_INTERVAL", 0.05)


async def leave_over(database: Database, count: int) -> list[str]:
    """Put events into the outbox, as a process that was killed after its commit leaves them."""
    ids = [new_id() for _ in range(count)]
    async with database.write() as connection:
        rows = [{"event_id": id_, "kind": "created", "body": "{}"} for id_ in ids]
        await connection.execute(insert(outbox), rows)
    return [str(id_) for id_ in ids]


async def in_outbox(database: Database) -> int:
    async with database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(outbox)) or 0


async def is_empty(database: Database) -> bool:
    return await in_outbox(database) == 0


async def take(subscription: Subscription, count: int) -> Sequence[Delivery]:
    taken: list[Delivery] = []
    async with asyncio.timeout(PATIENCE):
        while len(taken) < count:
            taken += await subscription.receive(count)
            await subscription.ack_up_to(taken[-1].tag)
    return taken


async def test_leftovers_are_sent_oldest_first_and_forgotten(
    consumption_database: Database,
) -> None:
    ids = await leave_over(consumption_database, 1000)
    broker = InProcessBroker()
    relay = OutboxRelay(consumption_database, broker, max_outbox=10_000)

    async with (
        broker.subscription(RECOMMENDATION_WATCH, 2000) as subscription,
        running(relay.run(), "announce"),
    ):
        taken = await take(subscription, 1000)
        await eventually(lambda: is_empty(consumption_database))

    assert [delivery.message_id for delivery in taken] == ids


async def test_events_of_a_clock_that_was_ahead_are_sent_when_it_is_right_again(
    consumption_database: Database,
) -> None:
    ahead = first_id_at(utc_now() + timedelta(hours=1))
    async with consumption_database.write() as connection:
        row = {"event_id": ahead, "kind": "created", "body": "{}"}
        await connection.execute(insert(outbox), row)
    broker = InProcessBroker()
    relay = OutboxRelay(consumption_database, broker, max_outbox=10_000)

    async with (
        broker.subscription(RECOMMENDATION_WATCH, 10) as subscription,
        running(relay.run(), "announce"),
    ):
        (taken,) = await take(subscription, 1)
        await eventually(lambda: is_empty(consumption_database))

    assert taken.message_id == str(ahead)


async def test_an_event_that_no_queue_would_receive_stays_until_one_does(
    consumption_database: Database,
) -> None:
    (id_,) = await leave_over(consumption_database, 1)
    broker = InProcessBroker()
    relay = OutboxRelay(consumption_database, broker, max_outbox=10_000)

    async with running(relay.run(), "announce"):
        await eventually(lambda: relay.status.outage and "unroutable" in relay.status.outage)
        assert await in_outbox(consumption_database) == 1

        async with broker.subscription(RECOMMENDATION_WATCH, 10) as subscription:
            (delivery,) = await take(subscription, 1)
            await eventually(lambda: relay.status.outage is None)

    assert delivery.message_id == id_


async def test_an_outbox_that_is_broken_for_a_while_does_not_end_the_announcing(
    consumption_database: Database,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.broker.reconnect.RECONNECT_DELAY", 0.05)
    ids = await leave_over(consumption_database, 1)
    broker = InProcessBroker()
    relay = OutboxRelay(consumption_database, broker, max_outbox=10_000)
    async with consumption_database.write() as connection:
        await connection.execute(text("ALTER TABLE outbox RENAME TO broken"))

    async with (
        broker.subscription(RECOMMENDATION_WATCH, 10) as subscription,
        running(relay.run(), "announce"),
    ):
        await eventually(lambda: "the outbox cannot be measured" in caplog.text)
        async with consumption_database.write() as connection:
            await connection.execute(text("ALTER TABLE broken RENAME TO outbox"))
        (taken,) = await take(subscription, 1)

    assert [taken.message_id] == ids


async def test_an_event_that_was_not_settled_is_not_forgotten(
    consumption_database: Database,
) -> None:
    await leave_over(consumption_database, 3)
    broker = InProcessBroker()
    relay = OutboxRelay(consumption_database, broker, max_outbox=10_000)

    async with (
        broker.subscription(RECOMMENDATION_WATCH, 10) as subscription,
        running(relay.run(), "announce"),
    ):
        await within(subscription.receive(3))
        await relay.confirmed.delete_confirmed()

    assert await in_outbox(consumption_database) == 3


async def test_events_of_a_killed_process_are_each_sent_by_two_that_follow(
    consumption_database: Database,
) -> None:
    ids = await leave_over(consumption_database, 50)
    broker = InProcessBroker()
    first, second = (OutboxRelay(consumption_database, broker, max_outbox=10_000) for _ in range(2))

    async with (
        broker.subscription(RECOMMENDATION_WATCH, 200) as subscription,
        running(first.run(), "first"),
        running(second.run(), "second"),
    ):
        taken: set[str | None] = set()
        while not taken >= set(ids):  # some come twice
            taken |= {delivery.message_id for delivery in await take(subscription, 1)}
        await eventually(lambda: is_empty(consumption_database))

    assert taken == set(ids)
