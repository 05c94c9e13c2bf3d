"""Learners work side by side, and what comes of it is what one alone would have learned."""

import asyncio
from datetime import timedelta
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from recommendation_service.learn.change_log import LogEntry, append
from recommendation_service.learn.locks import lock_exclusive, lock_users
from recommendation_service.learn.retention import delete_event_ids
from recommendation_service.model.counts import Figure
from recommendation_service.model.model import Model
from recommendation_service.replicate.model_replica import ModelReplica
from recommendation_service.tables import inbox, model_state
from shared.clock import utc_now
from shared.database.database import Database
from shared.ids import UserId
from tests.integration.learn.test_learn import (
    check_counted,
    expected_fingerprint,
    forget_all,
    learn_all,
    streams,
)
from tests.support.eventually import eventually, within
from tests.support.examples import an_event

REMEMBERED: Final = select(func.count()).select_from(inbox)
WAITING: Final = text("""
    SELECT count(*) FROM pg_locks
    WHERE NOT granted AND locktype = :kind
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")


@pytest.fixture
def shared_database(recommendation_database: Database) -> Database:
    """A database in which transactions run beside each other."""
    if recommendation_database.is_sqlite:
        pytest.skip("SQLite has one transaction at a time")
    return recommendation_database


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
async def test_learners_side_by_side_make_the_same_model(
    recommendation_database: Database, data: st.DataObject
) -> None:
    events = data.draw(streams())
    arriving = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events)))))
    size = data.draw(st.integers(1, 4))
    await forget_all(recommendation_database)

    batches = [arriving[start : start + size] for start in range(0, len(arriving), size)]
    learners = await asyncio.gather(
        *(learn_all(recommendation_database, batches[start::3]) for start in range(3))
    )

    restarted = ModelReplica(recommendation_database)
    await restarted.load()
    assert restarted.model.fingerprint == expected_fingerprint(events)
    for learner in learners:
        await learner.catch_up()
        assert learner.version == restarted.version
        assert learner.model.fingerprint == restarted.model.fingerprint
        assert met_from_to(learner.model) == met_from_to(restarted.model)
    async with recommendation_database.read() as connection:
        state = (await connection.execute(select(model_state))).one()
    check_counted(state, events, arriving)


async def test_learners_wait_for_each_other_only_where_they_share_a_user(
    shared_database: Database,
) -> None:
    async with shared_database.write() as connection:
        await lock_users(connection, [UserId(1), UserId(2)])

        await learn_all(shared_database, [[an_event(user=3)]])
        sharing = asyncio.create_task(learn_all(shared_database, [[an_event(user=2)]]))
        await eventually(lambda: waiting(shared_database, "advisory"))
    await within(sharing)


async def test_who_works_alone_waits_for_learners_and_they_for_it(
    shared_database: Database,
) -> None:
    alone_now = asyncio.Event()

    async def work_alone() -> None:
        async with shared_database.write() as connection:
            await lock_exclusive(connection)
            alone_now.set()

    async with shared_database.write() as connection:
        await lock_users(connection, [UserId(1)])
        other = asyncio.create_task(work_alone())
        await eventually(lambda: waiting(shared_database, "relation"))
        late = asyncio.create_task(learn_all(shared_database, [[an_event(user=2)]]))
        await eventually(lambda: waiting(shared_database, "relation", count=2))
        assert not alone_now.is_set()
        await append(shared_database, connection, LogEntry(applied=1))
    await within(asyncio.gather(other, late))


async def test_events_are_forgotten_when_no_learner_takes_them_for_remembered(
    shared_database: Database,
) -> None:
    await learn_all(shared_database, [[an_event(user=1)]])
    async with shared_database.write() as connection:
        await lock_users(connection, [UserId(2)])
        tomorrow = utc_now() + timedelta(days=1)
        forgetting = asyncio.create_task(delete_event_ids(shared_database, tomorrow))
        await eventually(lambda: waiting(shared_database, "relation"))
        assert await connection.scalar(REMEMBERED) == 1
    await within(forgetting)

    async with shared_database.read() as connection:
        assert await connection.scalar(REMEMBERED) == 0


async def waiting(database: Database, kind: str, count: int = 1) -> bool:
    """Whether so many sessions wait for a lock of the kind."""
    async with database.read() as connection:
        return (await connection.scalar(WAITING, {"kind": kind}) or 0) >= count


def met_from_to(model: Model) -> dict[int, tuple[float, float]]:
    """When each lesson was first and last met, of those that anybody meets."""
    rows = [Figure.FIRST, Figure.LAST, Figure.INTERACTIONS]
    first, last, met = model.counts.figures[rows]
    return {
        lesson: (first[index], last[index])
        for lesson, index in model.counts.index.items()
        if met[index]
    }
