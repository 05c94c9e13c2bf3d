"""Rebuilding ends in the same model, repairs one that lost something, and stops nobody."""

from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import delete

from recommendation_service.event import Event
from recommendation_service.learn.rebuild import RebuildResult, rebuild
from recommendation_service.replicate.model_replica import ModelReplica
from recommendation_service.tables import inbox, interactions, learned_watches
from shared.database.database import Database
from shared.events import Kind
from tests.integration.learn.test_learn import learn_all
from tests.support.examples import an_event

EVENTS = [
    an_event(user, lesson, minutes=10 * user + lesson) for user in range(5) for lesson in range(8)
]


async def pages(events: Sequence[Event]) -> AsyncIterator[Sequence[Event]]:
    """The watches as the consumption service lists them: newest first."""
    for start in range(0, len(events), 7):
        yield events[::-1][start : start + 7]


async def test_a_sound_model_is_the_same_afterwards(recommendation_database: Database) -> None:
    replica = await learn_all(recommendation_database, [EVENTS])
    before = replica.model.fingerprint

    found = await rebuild(recommendation_database, pages(EVENTS))
    await replica.catch_up()

    fingerprint = f"{before:032x}"
    assert found == RebuildResult(len(EVENTS), 0, fingerprint, fingerprint)
    assert replica.model.fingerprint == before


async def test_what_was_never_learned_is_learned(recommendation_database: Database) -> None:
    expected = (await learn_all(recommendation_database, [EVENTS])).model.fingerprint
    async with recommendation_database.write() as connection:
        for table in (inbox, learned_watches, interactions):
            await connection.execute(delete(table))

    found = await rebuild(recommendation_database, pages(EVENTS))

    replica = ModelReplica(recommendation_database)
    await replica.load()
    assert found.missing == len(EVENTS)
    assert replica.model.fingerprint == expected


async def test_damaged_meetings_are_made_good_and_every_process_notices(
    recommendation_database: Database,
) -> None:
    replica = await learn_all(recommendation_database, [EVENTS])
    other = ModelReplica(recommendation_database)
    await other.load()
    expected = replica.model.fingerprint
    async with recommendation_database.write() as connection:
        await connection.execute(delete(interactions).where(interactions.c.user_id == 3))

    await rebuild(recommendation_database, pages(EVENTS))
    for process in (replica, other):
        await process.catch_up()

    assert replica.model.fingerprint == other.model.fingerprint == expected
    assert replica.version == other.version


@pytest.mark.parametrize("listed", [True, False])
async def test_a_deleted_watch_does_not_come_back(
    recommendation_database: Database,
    listed: bool,  # noqa: FBT001 - the page may have been read just before the deletion
) -> None:
    kept, gone = an_event(lesson=1), an_event(lesson=2)
    deletion = an_event(lesson=2, kind=Kind.DELETED, watch_id=gone.watch_id)
    replica = await learn_all(recommendation_database, [[kept, gone, deletion]])
    before = replica.model.fingerprint

    await rebuild(recommendation_database, pages([kept, gone] if listed else [kept]))
    await replica.catch_up()

    assert replica.model.fingerprint == before
