"""Following: the model of a process comes to what was committed, by whomever, step by step."""

from collections.abc import Sequence

import pytest
from sqlalchemy import delete, insert

from recommendation_service.event import Event
from recommendation_service.learn import load_model
from recommendation_service.learn.histories import ModelStep
from recommendation_service.learn.learn import LearnedBatch, learn
from recommendation_service.replicate.model_replica import ModelReplica, StepObserver
from recommendation_service.tables import model_changes
from shared.clock import utc_now
from shared.database.database import Database
from shared.process.background import running
from tests.support.eventually import eventually
from tests.support.examples import an_event


def some_events(first_user: int) -> list[Event]:
    return [an_event(first_user + user, lesson) for user in range(3) for lesson in range(5)]


def seeing(seen: list[ModelStep]) -> StepObserver:
    async def look(step: ModelStep) -> None:
        seen.append(step)

    return look


async def commit(database: Database, events: Sequence[Event]) -> LearnedBatch:
    async with database.write() as connection:
        return await learn(database, connection, events)


async def a_follower(database: Database) -> ModelReplica:
    replica = ModelReplica(database)
    await replica.load()
    return replica


async def is_up_to_date(replica: ModelReplica, database: Database) -> bool:
    """Compare with a process that starts now."""
    other = await a_follower(database)
    return (replica.version, replica.applied_through, replica.model.fingerprint) == (
        other.version,
        other.applied_through,
        other.model.fingerprint,
    )


async def test_batches_are_applied_in_the_order_of_their_commits(
    recommendation_database: Database,
) -> None:
    replica, seen = await a_follower(recommendation_database), list[ModelStep]()
    batches = [await commit(recommendation_database, some_events(user)) for user in (10, 20, 30)]

    for learned in batches:
        replica.enqueue(learned, seeing(seen))
    await replica.apply_committed()

    assert seen == [step for learned in batches for step in learned.steps]
    assert await is_up_to_date(replica, recommendation_database)


async def test_what_was_committed_is_seen_by_the_evaluation_whoever_applies_it(
    recommendation_database: Database,
) -> None:
    replica, seen = await a_follower(recommendation_database), list[ModelStep]()
    learned = await commit(recommendation_database, some_events(10))

    replica.enqueue(learned, seeing(seen))
    await replica.catch_up()
    await replica.apply_committed()

    assert seen == list(learned.steps)
    assert await is_up_to_date(replica, recommendation_database)


async def test_what_others_committed_before_is_applied_before(
    recommendation_database: Database,
) -> None:
    replica, seen = await a_follower(recommendation_database), list[ModelStep]()
    await commit(recommendation_database, some_events(10))
    learned = await commit(recommendation_database, some_events(20))

    replica.enqueue(learned, seeing(seen))
    await replica.apply_committed()

    assert seen == list(learned.steps)
    assert await is_up_to_date(replica, recommendation_database)


async def test_a_batch_that_changes_nothing_leaves_what_others_committed_before_to_be_applied(
    recommendation_database: Database,
) -> None:
    known = some_events(10)
    await commit(recommendation_database, known)
    replica = await a_follower(recommendation_database)
    await commit(recommendation_database, some_events(20))

    replica.enqueue(await commit(recommendation_database, known))
    await replica.apply_committed()

    assert await is_up_to_date(replica, recommendation_database)


async def test_a_model_behind_the_log_is_folded_anew(recommendation_database: Database) -> None:
    replica = await a_follower(recommendation_database)
    await commit(recommendation_database, some_events(10))
    async with recommendation_database.write() as connection:
        await connection.execute(delete(model_changes))
    learned = await commit(recommendation_database, some_events(20))

    replica.enqueue(learned)
    await replica.apply_committed()

    assert await is_up_to_date(replica, recommendation_database)


async def test_a_change_that_was_applied_in_part_is_made_good(
    recommendation_database: Database,
) -> None:
    replica = await a_follower(recommendation_database)
    learned = await commit(recommendation_database, some_events(10))

    async def fail_at_the_fifth(step: ModelStep) -> None:
        if step == learned.steps[4]:
            raise ZeroDivisionError

    replica.enqueue(learned, fail_at_the_fifth)
    with pytest.raises(ZeroDivisionError):
        await replica.apply_committed()
    await replica.apply_committed()

    assert await is_up_to_date(replica, recommendation_database)


async def test_following_goes_on_after_a_record_that_cannot_be_read(
    recommendation_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    replica = await a_follower(recommendation_database)
    unreadable = {"version": 1, "change": b"?", "learned_at": utc_now()}
    async with recommendation_database.write() as connection:
        await connection.execute(insert(model_changes).values(unreadable))

    async with running(replica.run(0.01), "follow"):
        await eventually(lambda: "the model replica is behind" in caplog.text)
        async with recommendation_database.write() as connection:
            await connection.execute(delete(model_changes))
        await commit(recommendation_database, some_events(10))

        assert await eventually(lambda: is_up_to_date(replica, recommendation_database))


async def test_a_model_is_folded_in_portions_that_leave_histories_whole(
    recommendation_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = await a_follower(recommendation_database)
    replica.enqueue(await commit(recommendation_database, some_events(10)))
    await replica.apply_committed()
    monkeypatch.setattr(load_model, "CHUNK_SIZE", 7)  # two users, of whom each met five lessons
    monkeypatch.setattr(load_model, "FETCH_SIZE", 3)

    assert await is_up_to_date(replica, recommendation_database)
