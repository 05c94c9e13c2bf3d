"""Tables that only serve for a while stay bounded, and an old duplicate still counts once."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from consumption_service.retention import delete_old_keys
from consumption_service.tables import idempotency_keys
from recommendation_service.consume.parse import parse_event
from recommendation_service.event import Event
from recommendation_service.learn.retention import delete_log_entries, delete_old
from recommendation_service.model.fingerprint import MODULUS
from recommendation_service.replicate.model_replica import ModelReplica
from recommendation_service.tables import inbox, model_changes, model_state
from shared.broker.interface import Delivery
from shared.clock import utc_now
from shared.database.database import Database
from shared.events import Kind
from shared.uuid7 import new_id
from tests.integration.learn.test_learn import expected_fingerprint, learn_all
from tests.support.examples import an_event

DAYS = 30
OLD = utc_now() - timedelta(days=DAYS + 3)


async def make_old(database: Database) -> None:
    """Let everything learned so far have been learned a while ago, and be forgotten."""
    async with database.write() as connection:
        await connection.execute(update(inbox).values(learned_at=OLD))
    await delete_old(database, DAYS)
    async with database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(inbox)) == 0


async def counted(database: Database) -> tuple[int, int, int]:
    async with database.read() as connection:
        state = (await connection.execute(select(model_state))).one()
    return state.applied, state.duplicates, int.from_bytes(state.fingerprint, "big") % MODULUS


def three_fields(message_id: str) -> Event:
    """A message of another producer, which does not say when it happened."""
    body = b'{"user_id": 7, "lesson_id": 9, "position": 1}'
    return parse_event(
        Delivery(1, message_id, "created", body, None, None, {}, False, 0),  # noqa: FBT003
        10_000,
    )


def a_watch_reported_and_one_deleted() -> list[Event]:
    first, second = an_event(lesson=1), an_event(lesson=2, minutes=9)
    report = an_event(
        lesson=1, kind=Kind.UPDATED, watch_id=first.watch_id, position=400, reported=3
    )
    gone = an_event(lesson=2, minutes=9, kind=Kind.DELETED, watch_id=second.watch_id)
    return [first, report, second, gone, an_event(lesson=3, minutes=20)]


@pytest.mark.parametrize("order", [1, -1])
async def test_an_old_duplicate_is_not_counted_twice(
    recommendation_database: Database, order: int
) -> None:
    events = a_watch_reported_and_one_deleted()
    await learn_all(recommendation_database, [events])
    await make_old(recommendation_database)

    await learn_all(recommendation_database, [events[::order], events[:1]])

    expected = expected_fingerprint(events)
    assert await counted(recommendation_database) == (5, 6, expected)


async def test_an_old_event_that_was_never_learned_is_learned(
    recommendation_database: Database,
) -> None:
    early, late = an_event(lesson=1), an_event(lesson=2)
    await learn_all(recommendation_database, [[early]])
    await make_old(recommendation_database)

    await learn_all(recommendation_database, [[late], [late]])

    applied, duplicates, fingerprint = await counted(recommendation_database)
    assert (applied, duplicates) == (2, 1)
    assert fingerprint == expected_fingerprint([early, late])


async def test_an_old_message_without_a_time_is_not_counted_twice(
    recommendation_database: Database,
) -> None:
    name = str(new_id())
    await learn_all(recommendation_database, [[three_fields(name)]])
    _, _, fingerprint = await counted(recommendation_database)
    await make_old(recommendation_database)

    await learn_all(recommendation_database, [[three_fields(name)]])
    assert await counted(recommendation_database) == (1, 1, fingerprint)

    await learn_all(recommendation_database, [[three_fields(str(new_id()))]])
    assert (await counted(recommendation_database))[:2] == (2, 1)


async def test_events_learned_lately_are_not_forgotten(recommendation_database: Database) -> None:
    await learn_all(recommendation_database, [[an_event(), an_event()]])

    await delete_old(recommendation_database, DAYS)

    async with recommendation_database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(inbox)) == 2
        assert await connection.scalar(select(model_state.c.inbox_since)) is None


async def test_of_the_log_the_newest_record_stays(recommendation_database: Database) -> None:
    replica = await learn_all(
        recommendation_database, [[an_event(lesson=lesson)] for lesson in range(3)]
    )
    async with recommendation_database.write() as connection:
        await connection.execute(update(model_changes).values(learned_at=OLD))

    await delete_log_entries(recommendation_database)

    late = ModelReplica(recommendation_database)
    late.version = 1
    await late.catch_up()
    async with recommendation_database.read() as connection:
        versions = list(await connection.scalars(select(model_changes.c.version)))
    assert versions == [3]
    assert late.model.fingerprint == replica.model.fingerprint


async def test_more_rows_than_one_transaction_deletes(recommendation_database: Database) -> None:
    rows = [{"event_id": new_id(), "learned_at": OLD} for _ in range(12_000)]
    async with recommendation_database.write() as connection:
        await connection.execute(insert(inbox), rows)

    await delete_old(recommendation_database, DAYS)

    async with recommendation_database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(inbox)) == 0


async def test_an_old_idempotency_key_is_free_again(consumption_database: Database) -> None:
    ages = {"yesterday": 1, "last week": 8}
    rows = [
        {
            "key": name,
            "watch_id": new_id(),
            "digest": b"",
            "recorded_at": utc_now() - timedelta(days=age),
        }
        for name, age in ages.items()
    ]
    async with consumption_database.write() as connection:
        await connection.execute(insert(idempotency_keys), rows)

    await delete_old_keys(consumption_database, days=7)

    async with consumption_database.read() as connection:
        kept: Sequence[str] = list(await connection.scalars(select(idempotency_keys.c.key)))
    assert kept == ["yesterday"]
