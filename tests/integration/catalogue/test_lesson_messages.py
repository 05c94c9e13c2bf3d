"""The catalogue by messages: the later description holds, whatever comes in which order."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.consume.poison import SUSPICIOUS
from recommendation_service.learn.lessons import LessonState, deleted, upsert_lessons
from recommendation_service.replicate.catalogue import Catalogue
from recommendation_service.tables import lessons
from shared.broker.interface import Message, PublishOutcome
from shared.broker.topology import LESSON, RECOMMENDATION_LESSON
from shared.clock import utc_now
from shared.database.database import Database
from shared.ids import LessonId
from shared.lessons import Lesson
from shared.uuid7 import new_id
from tests.support.eventually import eventually, within
from tests.support.examples import NOON
from tests.support.pair import SetUp, parked

EARLY, LATE = "2026-11-20T10:00:00Z", "2026-11-21T10:00:00Z"


def a_message(key: str, **body: Any) -> Message:
    return Message(str(new_id()), key, json.dumps(body).encode())


async def publish(set_up: SetUp, *messages: Message) -> None:
    async with set_up.broker.publisher(LESSON) as publisher:
        assert set(await publisher.publish(messages)) == {PublishOutcome.CONFIRMED}


async def test_lessons_are_learned_from_the_exchange(set_up: SetUp) -> None:
    async with set_up.recommendation() as service:
        await publish(
            set_up,
            a_message("updated", lesson_id=1, title="late", updated_at=LATE, colour="red"),
            a_message("created", lesson_id=1, title="early", updated_at=EARLY),
            a_message("created", lesson_id=2, tags=["a"]),
            a_message("created", lesson_id=3, updated_at=EARLY),
            a_message("deleted", lesson_id=3, updated_at=LATE),
            a_message("updated", lesson_id=3, updated_at=EARLY),
            a_message("created", lesson_id=9),
        )

        async def known() -> list[dict[str, Any]]:
            items: list[dict[str, Any]] = (await service.get("/lessons")).json()["items"]
            return items if items and items[-1]["lesson_id"] == 9 else []

        found = await eventually(known)

        assert [(item["lesson_id"], item["title"]) for item in found] == [
            (1, "late"),
            (2, None),
            (9, None),
        ]
        assert found[0]["updated_at"] == LATE


async def test_what_says_nothing_is_parked_and_can_be_tried_again(set_up: SetUp) -> None:
    future = (utc_now() + timedelta(days=400)).isoformat()
    wrong = [
        a_message("created", title="without an id"),
        a_message("renamed", lesson_id=1),
        a_message("created", lesson_id=1, updated_at=future),
        a_message("created", lesson_id=1, title="x" * 900),
    ]
    async with set_up.recommendation(max_message_bytes=800) as service:
        await publish(set_up, *wrong, a_message("created", lesson_id=5))
        items = await parked(service, len(wrong))
        assert {item["exchange"] for item in items} == {"lesson"}
        reasons = [item["reason"] for item in items]
        assert sorted(reasons) == ["oversized", "unknown kind", "unreadable", "unreadable"]
        for item in items:
            assert (await service.post(f"/parked/{item['id']}/redeliver")).status_code == 409
        assert (await service.get("/lessons/5")).status_code == 200
    [oversized] = [item["id"] for item in items if item["reason"] == "oversized"]
    async with set_up.recommendation() as service:
        answer = await service.post(f"/parked/{oversized}/redeliver")
        assert answer.json() == {"outcome": "learned"}
        assert (await service.get("/lessons/1")).json()["title"] == "x" * 900
        await parked(service, len(wrong) - 1)


async def test_a_message_that_came_back_often_is_processed_alone_after_its_neighbours(
    real: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[int]] = []

    async def described(
        database: Database, connection: AsyncConnection, states: Sequence[LessonState]
    ) -> Any:
        batches.append([one.lesson_id for one in states])
        return await upsert_lessons(database, connection, states)

    monkeypatch.setattr("recommendation_service.consume.lessons.upsert_lessons", described)
    for number in range(SUSPICIOUS):
        async with real.broker.subscription(RECOMMENDATION_LESSON, prefetch=1) as source:
            if number == 0:
                await publish(real, a_message("created", lesson_id=1))
            await within(source.receive(1))
    await publish(real, *[a_message("created", lesson_id=number) for number in (2, 3)])

    async with real.recommendation() as service:

        async def known() -> bool:
            return len((await service.get("/lessons")).json()["items"]) == 3

        await eventually(known)

    assert batches[-1] == [1]
    assert sorted(one for batch in batches[:-1] for one in batch) == [2, 3]


@st.composite
def descriptions(draw: st.DrawFn) -> LessonState:
    """Few lessons, few times, few contents: they meet."""
    lesson_id = LessonId(draw(st.integers(1, 3)))
    updated_at = NOON + timedelta(minutes=draw(st.integers(0, 3)))
    if draw(st.integers(0, 3)) == 0:
        return deleted(lesson_id, updated_at)
    lesson = Lesson(title=draw(st.sampled_from(["a", "b"])), hidden=draw(st.booleans()))
    return LessonState(lesson_id, lesson, updated_at)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), states=st.lists(descriptions(), min_size=1, max_size=10))
async def test_any_order_any_number_of_times_ends_in_the_same_catalogue(
    recommendation_database: Database, data: st.DataObject, states: list[LessonState]
) -> None:
    database = recommendation_database
    repeated = data.draw(st.lists(st.sampled_from(states), max_size=4))
    orders = [states, data.draw(st.permutations([*states, *repeated]))]

    ends = [
        await stored_after(database, order, size)
        for order, size in zip(orders, (99, 2), strict=True)
    ]

    assert ends[0] == ends[1]
    latest = {
        lesson: max((one for one in states if one.lesson_id == lesson), key=lambda one: one.rank)
        for lesson in {one.lesson_id for one in states}
    }
    assert ends[0] == {
        lesson: (one.lesson.title, one.lesson.hidden, one.deleted, one.updated_at)
        for lesson, one in latest.items()
    }


async def stored_after(database: Database, states: Sequence[LessonState], size: int) -> Any:
    """What the table says after the states came in batches; and what a process makes of it."""
    async with database.write() as connection:
        await connection.execute(delete(lessons))
    catalogue = Catalogue(database)
    for start in range(0, len(states), size):
        async with database.write() as connection:
            await upsert_lessons(database, connection, states[start : start + size])
        await catalogue.catch_up()
    async with database.read() as connection:
        rows = (await connection.execute(select(lessons))).all()
    for row in rows:
        found = catalogue.find(row.lesson_id)
        assert (found is None) == row.deleted
        assert found is None or found.lesson.title == row.title
    return {row.lesson_id: (row.title, row.hidden, row.deleted, row.updated_at) for row in rows}
