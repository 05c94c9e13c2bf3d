"""Erasing a user: the model is the one that never knew them, whatever came in which order."""

import random
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.event import Event
from recommendation_service.learn import erase as erase_module
from recommendation_service.learn.erase import erase
from recommendation_service.learn.learn import learn
from recommendation_service.replicate.model_replica import ModelReplica
from recommendation_service.tables import erased_users, interactions, learned_watches, model_state
from shared.database.database import Database
from shared.events import Kind, UserErased
from shared.ids import UserId
from shared.uuid7 import new_id
from tests.integration.learn.test_learn import expected_fingerprint, forget_all, learn_all
from tests.support.examples import NOON, an_event

Happening = Event | UserErased


def an_erasure(user: int, minutes: float) -> UserErased:
    at = NOON + timedelta(minutes=minutes)
    return UserErased(user_id=UserId(user), erasure_id=new_id(), erased_at=at)


async def forget_everything(database: Database) -> None:
    await forget_all(database)
    async with database.write() as connection:
        await connection.execute(delete(erased_users))
        await connection.execute(update(model_state).values(erased_users=0))


async def take_all(database: Database, happenings: Sequence[Happening]) -> ModelReplica:
    """Learn or do one after the other, as the consumer does."""
    replica = ModelReplica(database)
    await replica.load()
    for one in happenings:
        if isinstance(one, UserErased):
            await erase(database, one)
        else:
            async with database.write() as connection:
                await learn(database, connection, [one])
        await replica.catch_up()
    return replica


def what_counts(happenings: Sequence[Happening]) -> list[Event]:
    """The events that are not from before an erasure of their user."""
    erased = [one for one in happenings if isinstance(one, UserErased)]
    return [
        one
        for one in happenings
        if isinstance(one, Event)
        if not any(
            one.user_id == erasure.user_id and one.recorded_at <= erasure.erased_at
            for erasure in erased
        )
    ]


@st.composite
def stories(draw: st.DrawFn) -> list[Happening]:
    """A few users who watch, report, delete, are erased and come back; told in any order."""
    story: list[Happening] = []
    for number in range(draw(st.integers(1, 14))):
        user, lesson = draw(st.integers(1, 3)), draw(st.integers(1, 5))
        minutes = draw(st.sampled_from([0, 1, 30, 90, 3000]))
        watch = UUID(int=number + 1)
        story.append(an_event(user, lesson, minutes=minutes, watch_id=watch, event_id=watch))
        if draw(st.booleans()):
            later = minutes + draw(st.integers(1, 60))
            kind = draw(st.sampled_from([Kind.UPDATED, Kind.DELETED]))
            story.append(
                an_event(user, lesson, kind=kind, minutes=minutes, watch_id=watch, reported=later)
            )
    times = st.sampled_from([-1, 0, 20, 91, 4000])
    erased = st.lists(st.builds(an_erasure, st.integers(1, 3), times), min_size=1, max_size=3)
    story += draw(erased)
    repeated = draw(st.lists(st.sampled_from(story), max_size=4))
    return draw(st.permutations([*story, *repeated]))


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(story=stories())
async def test_the_model_is_the_one_that_never_knew_the_erased(
    recommendation_database: Database, story: Sequence[Happening]
) -> None:
    await forget_everything(recommendation_database)

    replica = await take_all(recommendation_database, story)

    expected = expected_fingerprint(what_counts(story))
    assert replica.model.fingerprint == expected
    afresh = ModelReplica(recommendation_database)
    await afresh.load()
    assert afresh.model.fingerprint == expected
    async with recommendation_database.read() as connection:
        state = (await connection.execute(select(model_state))).one()
        stored = select(func.count()).select_from(learned_watches)
        watches = await connection.scalar(stored)
    ids = {one.erasure_id if isinstance(one, UserErased) else one.event_id for one in story}
    assert state.applied == len(ids)
    assert state.duplicates == len(story) - len(ids)
    assert watches == len({one.key for one in what_counts(story)})


async def test_a_long_history_goes_portion_by_portion(
    recommendation_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase_module, "BATCH_SIZE", 7)
    chance = random.Random(3)  # noqa: S311 - the same each time
    events = [an_event(1, lesson, minutes=chance.randrange(9000)) for lesson in range(100)]
    others = [an_event(2, lesson, minutes=lesson) for lesson in range(0, 100, 3)]
    back = [an_event(1, lesson, minutes=9999) for lesson in (1, 50, 200)]
    replica = await learn_all(recommendation_database, [events, others, back])

    await erase(recommendation_database, an_erasure(1, 9000))
    await replica.catch_up()

    assert replica.version > 14
    assert replica.model.fingerprint == expected_fingerprint([*others, *back])
    async with recommendation_database.read() as connection:
        for table in (interactions, learned_watches):
            of_user = select(func.count()).where(table.c.user_id == 1)
            assert await connection.scalar(of_user) == len(back)


async def test_what_was_broken_off_is_completed_by_the_next_delivery(
    recommendation_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase_module, "BATCH_SIZE", 2)
    events = [an_event(1, lesson, minutes=lesson) for lesson in range(9)]
    replica = await learn_all(recommendation_database, [events])
    erasure = an_erasure(1, 100)

    take_away = erase_module._remove_batch  # noqa: SLF001
    steps = iter([True, True])

    async def break_off(*arguments: object) -> bool:
        if next(steps, None):
            return bool(await take_away(*arguments))  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(erase_module, "_remove_batch", break_off)
    with pytest.raises(KeyboardInterrupt):
        await erase(recommendation_database, erasure)
    await replica.catch_up()
    assert replica.model.fingerprint != 0
    monkeypatch.setattr(erase_module, "_remove_batch", take_away)

    await erase(recommendation_database, erasure)

    await replica.catch_up()
    assert replica.model.fingerprint == 0


async def test_a_user_who_is_back_between_two_portions_keeps_only_what_came_since(
    recommendation_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase_module, "BATCH_SIZE", 2)
    events = [an_event(1, lesson, minutes=lesson) for lesson in range(9)]
    back = [an_event(1, lesson, minutes=200 + lesson) for lesson in (8, 0)]
    replica = await learn_all(recommendation_database, [events])

    take_away = erase_module._remove_batch  # noqa: SLF001
    coming = iter(back)

    async def watch_before(
        database: Database, connection: AsyncConnection, erasure: UserErased
    ) -> bool:
        if event := next(coming, None):
            await learn(database, connection, [event])
        return await take_away(database, connection, erasure)

    monkeypatch.setattr(erase_module, "_remove_batch", watch_before)
    await erase(recommendation_database, an_erasure(1, 100))
    await replica.catch_up()

    assert replica.model.fingerprint == expected_fingerprint(back)


async def test_very_many_watches_go_in_several_statements(
    recommendation_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase_module, "DELETE_SIZE", 3)
    events = [an_event(1, place % 2, minutes=place) for place in range(20)]
    others = [an_event(2, lesson) for lesson in range(4)]
    back = [an_event(1, 0, minutes=200)]
    replica = await learn_all(recommendation_database, [events, others, back])

    await erase(recommendation_database, an_erasure(1, 100))
    await replica.catch_up()

    assert replica.model.fingerprint == expected_fingerprint([*others, *back])
    async with recommendation_database.read() as connection:
        watches = await connection.scalar(select(func.count()).select_from(learned_watches))
        assert watches == len(others) + len(back)
