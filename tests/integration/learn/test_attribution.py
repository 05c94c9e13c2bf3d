"""A watch of a lesson that was recommended is attributed to the list by itself."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from recommendation_service.evaluate import attribution
from recommendation_service.evaluate.attribution import Impressions, read_attribution
from recommendation_service.learn.erase import erase
from recommendation_service.learn.retention import delete_served_lists
from recommendation_service.tables import served_lists
from shared.clock import utc_now
from shared.database.database import Database
from shared.events import UserErased
from shared.ids import LessonId, UserId
from shared.uuid7 import new_id
from tests.support.eventually import eventually
from tests.support.examples import an_event
from tests.support.pair import Pair, learned


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is served is written, and what is learned looked at, at once."""
    monkeypatch.setattr(attribution, "INTERVAL", 0.01)
    monkeypatch.setattr(attribution, "WRITE_DELAY", timedelta(seconds=0.5))


async def rows(database: Database) -> int:
    async with database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(served_lists)) or 0


@pytest.mark.usefixtures("no_delay")
async def test_the_share_of_watches_that_came_from_a_list_is_shown(pair: Pair) -> None:
    await pair.watch(1, 10, 11, 12, 13)
    await learned(pair.recommendation, 4)
    listed = [item["lesson_id"] for item in await pair.recommended(2, limit=2)]
    await pair.watch(2, listed[1], 99)
    await pair.watch(3, listed[0])  # got no list

    async def counted() -> dict[str, Any]:
        answer = (await pair.recommendation.get("/evaluation")).json()["attribution"]
        return dict(answer) if answer["watches"] == 2 else {}

    assert await eventually(counted) == {"watches": 2, "from_lists": 1, "share": 0.5}


async def test_a_list_counts_for_a_day_and_is_forgotten_then(
    recommendation_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Impressions(recommendation_database)
    process.add_impression(UserId(1), [LessonId(5)])
    await process.save()
    later = an_event(1, 5)._replace(occurred_at=utc_now() + timedelta(hours=25))
    earlier = an_event(1, 5)._replace(occurred_at=utc_now() - timedelta(hours=1))
    retry_while_unavailable = an_event(1, 5)._replace(occurred_at=utc_now() + timedelta(hours=23))

    process.add_watches([later, earlier, retry_while_unavailable])
    await process.attribute(utc_now())

    found = await read_attribution(recommendation_database)
    assert (found.watches, found.from_lists) == (1, 1)
    await delete_served_lists(recommendation_database)
    assert await rows(recommendation_database) == 1
    monkeypatch.setattr(
        "recommendation_service.learn.retention.LISTS_RETENTION", -timedelta(days=1)
    )
    await delete_served_lists(recommendation_database)
    assert await rows(recommendation_database) == 0


async def test_of_too_many_users_a_sample_is_remembered(
    recommendation_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attribution, "MAX_USERS", 10)
    process = Impressions(recommendation_database)

    for _ in range(8):
        for user in range(1000):
            process.add_impression(UserId(user), [LessonId(5)])
        before = await rows(recommendation_database)
        await process.save()
        assert 0 <= await rows(recommendation_database) - before <= 10

    for _ in range(20):
        await process.save()
    process.add_impression(UserId(77), [LessonId(5)])
    before = await rows(recommendation_database)
    await process.save()
    assert await rows(recommendation_database) == before + 1


async def test_lists_of_an_erased_user_are_neither_kept_nor_written_late(
    recommendation_database: Database,
) -> None:
    process = Impressions(recommendation_database)
    process.add_impression(UserId(1), [LessonId(5)])
    await process.save()
    process.add_impression(UserId(1), [LessonId(6)])
    erased_at = utc_now()

    await erase(
        recommendation_database,
        UserErased(user_id=UserId(1), erasure_id=new_id(), erased_at=erased_at),
    )
    await process.save()
    assert await rows(recommendation_database) == 0

    process.add_impression(UserId(1), [LessonId(7)])  # they come back
    await process.save()
    assert await rows(recommendation_database) == 1
