"""With `after`, an answer knows the watch; or there is no answer yet."""

import asyncio
import random
from typing import Any
from uuid import uuid4

import httpx
import pytest

from recommendation_service.learn.learn import LearnedBatch
from recommendation_service.replicate.model_replica import ModelReplica
from recommendation_service.serve.read_your_writes import (
    ConsistencyToken,
    NotYetLearned,
    ReadYourWrites,
)
from recommendation_service.tables import inbox
from shared.broker.interface import Message
from shared.broker.topology import WATCH
from shared.database.bulk import insert_new_rows
from shared.database.database import Database
from shared.process.background import running
from tests.integration.learn.test_learn import learn_all
from tests.support.eventually import eventually, within
from tests.support.examples import an_event
from tests.support.pair import Pair, SetUp, learned, parked

LESSONS = range(1, 30)


async def watched(consumption: httpx.AsyncClient, user: int, lesson: int) -> dict[str, Any]:
    body = {"user_id": user, "lesson_id": lesson, "position": 5}
    answer = await consumption.post("/watches", json=body)
    assert answer.status_code == 201
    watch: dict[str, Any] = answer.json()
    return watch


async def ask(
    service: httpx.AsyncClient, user: int, after: str, wait_ms: int = 10_000
) -> httpx.Response:
    query: dict[str, Any] = {"after": after, "wait_ms": wait_ms, "limit": 100}
    return await service.get(f"/users/{user}/recommendations", params=query)


async def answered(service: httpx.AsyncClient, user: int, after: str) -> httpx.Response:
    """Ask until there is an answer, however long a busy machine takes to learn."""

    async def there_is() -> httpx.Response | None:
        answer = await ask(service, user, after)
        return None if answer.status_code == 503 else answer

    found = await eventually(there_is)
    assert found
    return found


def check_it_knows(answer: httpx.Response, watch: dict[str, Any]) -> None:
    """An answer that there is knows the watch."""
    assert answer.status_code == 200, answer.text
    recommended = answer.json()
    assert watch["lesson_id"] not in [item["lesson_id"] for item in recommended["items"]]
    assert recommended["applied_through"] >= watch["recorded_at"].replace("Z", "+00:00")[:19]
    assert recommended["strategy"] == "personal"


async def test_an_answer_after_a_watch_knows_it(pair: Pair) -> None:
    await pair.watch(1, *LESSONS)
    for lesson in (3, 4, 5):
        watch = await watched(pair.consumption, 2, lesson)
        check_it_knows(await answered(pair.recommendation, 2, watch["id"]), watch)


async def test_no_answer_is_older_whoever_is_asked_and_however_busy_it_is(real: SetUp) -> None:
    chance = random.Random(7)  # noqa: S311 - the same each time
    async with (
        real.recommendation(batch_size=5) as one,
        real.recommendation(batch_size=5, follow_interval=30) as other,
        real.consumption() as consumption,
    ):
        pair = Pair(consumption, one)
        await pair.watch(1, *LESSONS)

        async def learner(user: int) -> None:
            for lesson in chance.sample(LESSONS, 8):
                watch = await watched(consumption, user, lesson)
                for service in chance.sample([one, other], 2):
                    answer = await ask(
                        service, user, watch["id"], chance.choice([0, 1, 10, 10_000])
                    )
                    if answer.status_code == 503:
                        answer = await answered(service, user, watch["id"])
                    check_it_knows(answer, watch)

        await asyncio.gather(*map(learner, range(10, 22)))


async def test_what_is_not_learned_in_time_is_said_to_be_late(pair: Pair) -> None:
    for wait_ms in (0, 20):
        answer = await ask(pair.recommendation, 1, str(uuid4()), wait_ms)

        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:upnext:problem:not-yet-learned"
        assert answer.headers["Retry-After"] == "1"


async def hold_up(replica: ModelReplica) -> None:
    """Let a transaction not end, as while the model is loaded."""

    async def transaction() -> LearnedBatch:
        await asyncio.Event().wait()
        raise AssertionError

    await replica.commit(transaction)


async def test_nobody_waits_longer_for_a_model_that_is_being_made_anew(
    recommendation_database: Database,
) -> None:
    replica, event = ModelReplica(recommendation_database), an_event()
    waiting = ReadYourWrites(recommendation_database, replica)
    async with recommendation_database.write() as connection:
        await insert_new_rows(connection, inbox, [(event.event_id, event.recorded_at)])

    async with running(hold_up(replica), "hold up the replica"):
        await asyncio.sleep(0)  # the transaction begins
        with pytest.raises(NotYetLearned):
            await waiting.wait_until_applied(ConsistencyToken(event.user_id, event.event_id), 0)

    await waiting.wait_until_applied(ConsistencyToken(event.user_id, event.event_id), 0)


async def test_whoever_waits_is_told_what_this_process_learns(
    recommendation_database: Database,
) -> None:
    replica, event = ModelReplica(recommendation_database), an_event()
    waiting = ReadYourWrites(recommendation_database, replica)  # nobody looks for what others learn
    awaited = ConsistencyToken(event.user_id, event.watch_id)
    request = asyncio.create_task(waiting.wait_until_applied(awaited, 60))
    with pytest.raises(NotYetLearned):
        await waiting.wait_until_applied(awaited, 0)

    await learn_all(recommendation_database, [[event]], replica)

    await within(request)


async def test_a_producer_may_name_its_events_as_it_likes(embedded: SetUp) -> None:
    async with embedded.recommendation() as service:
        bodies = [b'{"user_id": 1, "lesson_id": 2, "position": 3}', b"{"]
        messages = [Message(f"event {place}", "created", body) for place, body in enumerate(bodies)]
        async with embedded.broker.publisher(WATCH) as publisher:
            await publisher.publish(messages)

        assert (await answered(service, 1, "event 0")).status_code == 200
        await parked(service, 1)
        assert (await ask(service, 1, "event 1", 0)).status_code == 503
        await learned(service, 1)
