"""Batched reads: together when together, alone when alone, and nobody gets another's history."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from recommendation_service.serve.batched_reads import MAX_BATCH_SIZE, SHORT_HISTORY, BatchedReads
from recommendation_service.tables import interactions
from shared.database.database import Database, DatabaseUnavailable
from shared.ids import UserId
from tests.integration.learn.test_learn import learn_all
from tests.support.eventually import within
from tests.support.examples import an_event

LENGTHS = {1: 0, 2: 1, 3: 30, 4: SHORT_HISTORY, 5: SHORT_HISTORY + 7}


async def with_users(database: Database) -> BatchedReads:
    """Users of different lengths, who met the lessons 0, 1, 2 ..."""
    events = [
        an_event(user, lesson, minutes=lesson)
        for user, length in LENGTHS.items()
        for lesson in range(length)
    ]
    await learn_all(database, [events])
    return BatchedReads(database)


@contextmanager
def statements(database: Database) -> Iterator[list[object]]:
    """Those that are carried out in the block."""
    seen: list[object] = []

    def note(*arguments: object) -> None:
        seen.append(arguments[2])

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


async def lessons_of(group: BatchedReads, user: int) -> list[int]:
    return [meeting.lesson_id for meeting in (await group.read(UserId(user))).history]


async def test_everybody_gets_their_own_history(recommendation_database: Database) -> None:
    group = await with_users(recommendation_database)
    asked = [*LENGTHS, *LENGTHS] * MAX_BATCH_SIZE

    found = await asyncio.gather(*(lessons_of(group, user) for user in asked))

    assert found == [list(range(LENGTHS[user])) for user in asked]


async def test_requests_that_come_together_share_queries(recommendation_database: Database) -> None:
    group = await with_users(recommendation_database)

    with statements(recommendation_database) as seen:
        await asyncio.gather(*(lessons_of(group, 3) for _ in range(2 * MAX_BATCH_SIZE)))

    assert len([one for one in seen if interactions.name in str(one)]) == 2


async def test_a_request_that_goes_away_holds_nobody_up(recommendation_database: Database) -> None:
    group = await with_users(recommendation_database)
    leaving, staying = (asyncio.ensure_future(lessons_of(group, 3)) for _ in range(2))
    await asyncio.sleep(0)  # both wait now
    leaving.cancel()

    assert await within(staying) == list(range(30))
    assert await lessons_of(group, 2) == [0]


async def test_a_read_that_fails_is_told_to_all_who_wait_and_to_nobody_else(
    recommendation_database: Database,
) -> None:
    group = await with_users(recommendation_database)

    def fail(*_: object) -> None:
        raise TimeoutError("away")

    engine = recommendation_database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", fail)
    found = await asyncio.gather(
        *(lessons_of(group, user) for user in LENGTHS), return_exceptions=True
    )
    event.remove(engine, "before_cursor_execute", fail)

    assert {type(one) for one in found} == {DatabaseUnavailable}
    assert await lessons_of(group, 2) == [0]
