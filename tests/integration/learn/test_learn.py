"""Learning: the same events make the same model, in any order, any number of times."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Row, delete, func, select, update

from recommendation_service.event import Event
from recommendation_service.learn.learn import learn
from recommendation_service.model.fingerprint import fingerprint
from recommendation_service.model.history import Interaction, contributions, ordered
from recommendation_service.replicate.model_replica import ModelReplica
from recommendation_service.tables import (
    inbox,
    interactions,
    learned_watches,
    model_changes,
    model_state,
)
from shared.database.database import Database
from shared.events import Kind
from shared.ids import LessonId
from shared.uuid7 import new_id
from tests.support.examples import an_event


async def learn_all(
    database: Database, batches: Sequence[Sequence[Event]], replica: ModelReplica | None = None
) -> ModelReplica:
    """Learn batch by batch, as the consumer does, and return the model that results."""
    replica = replica or ModelReplica(database)
    await replica.load()
    for batch in batches:
        async with database.write() as connection:
            learned = await learn(database, connection, batch)
        replica.enqueue(learned)
        await replica.apply_committed()
    return replica


async def forget_all(database: Database) -> None:
    async with database.write() as connection:
        for table in (inbox, learned_watches, interactions, model_changes):
            await connection.execute(delete(table))
        nothing = {"version": 0, "fingerprint": bytes(16), "applied": 0, "duplicates": 0}
        await connection.execute(update(model_state).values(nothing))


def expected_fingerprint(events: Sequence[Event]) -> int:
    """What the events amount to, computed from their meaning alone."""
    watches: dict[tuple[int, UUID], Event] = {}
    for event in events:
        key = (event.user_id, event.watch_id)
        if key not in watches or rank(event) > rank(watches[key]):
            watches[key] = event
    first: dict[int, dict[int, float]] = defaultdict(dict)
    for event in watches.values():
        if event.kind is not Kind.DELETED:
            at = event.occurred_at.timestamp()
            lessons = first[event.user_id]
            lessons[event.lesson_id] = min(at, lessons.get(event.lesson_id, at))
    histories = [
        ordered(Interaction(LessonId(lesson), at) for lesson, at in lessons.items())
        for lessons in first.values()
    ]
    return fingerprint(one for history in histories for one in contributions(history))


def rank(event: Event) -> tuple[object, ...]:
    return event.kind is Kind.DELETED, event.reported_at, event.position


def check_counted(state: Row[Any], events: Sequence[Event], arriving: Sequence[Event]) -> None:
    """Each event is counted once as learned, and all else that arrived as known."""
    assert state.applied == len({event.event_id for event in events})
    assert state.applied + state.duplicates == len(arriving)


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    """A few users who watch, report and delete; times repeat and come late."""
    events: list[Event] = []
    for number in range(draw(st.integers(1, 12))):
        user, lesson = draw(st.integers(1, 3)), draw(st.integers(1, 5))
        minutes = draw(st.sampled_from([0, 1, 30, 90, 3000]))
        watch = UUID(int=number + 1)
        created = an_event(user, lesson, minutes=minutes, watch_id=watch, event_id=watch)
        events.append(created)
        if draw(st.booleans()):
            later = minutes + draw(st.integers(0, 5))
            position = draw(st.integers(0, 600))
            events.append(
                an_event(
                    user,
                    lesson,
                    kind=Kind.UPDATED,
                    watch_id=watch,
                    minutes=minutes,
                    reported=later,
                    position=position,
                )
            )
        if draw(st.integers(0, 3)) == 0:
            gone = an_event(user, lesson, kind=Kind.DELETED, watch_id=watch, minutes=minutes)
            events.append(gone)
    return events


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
async def test_any_order_and_any_repetition_make_the_same_model(
    recommendation_database: Database, data: st.DataObject
) -> None:
    events = data.draw(streams())
    arriving = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events)))))
    size = data.draw(st.integers(1, len(arriving)))
    await forget_all(recommendation_database)

    batches = [arriving[start : start + size] for start in range(0, len(arriving), size)]
    replica = await learn_all(recommendation_database, batches)

    restarted = ModelReplica(recommendation_database)
    await restarted.load()
    assert replica.model.fingerprint == expected_fingerprint(events)
    assert restarted.model.fingerprint == replica.model.fingerprint
    async with recommendation_database.read() as connection:
        state = (await connection.execute(select(model_state))).one()
    assert int.from_bytes(state.fingerprint, "big") == replica.model.fingerprint
    check_counted(state, events, arriving)


async def test_an_event_delivered_twice_is_learned_once(recommendation_database: Database) -> None:
    event = an_event()

    await learn_all(recommendation_database, [[event], [event], [event, event]])

    async with recommendation_database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(inbox)) == 1
        assert await connection.scalar(select(model_state.c.applied)) == 1
        assert await connection.scalar(select(model_state.c.duplicates)) == 3


async def test_an_id_that_is_known_teaches_nothing_whatever_comes_with_it(
    recommendation_database: Database,
) -> None:
    known = an_event(user=1, lesson=100)
    other = an_event(user=1, lesson=101, event_id=known.event_id, watch_id=new_id())
    another = an_event(user=1, lesson=102)

    await learn_all(recommendation_database, [[known], [other, another]])

    async with recommendation_database.read() as connection:
        watched = await connection.scalars(select(learned_watches.c.lesson_id))
        assert sorted(watched) == [100, 102]


async def test_a_late_event_in_a_long_history_changes_only_its_neighbourhood(
    recommendation_database: Database,
) -> None:
    watched = [an_event(lesson=lesson, minutes=lesson) for lesson in range(1, 201)]
    late = [an_event(lesson=1000, minutes=20.5), an_event(lesson=1001, minutes=180.5)]

    replica = await learn_all(recommendation_database, [watched, late])

    assert replica.model.fingerprint == expected_fingerprint(watched + late)
    async with recommendation_database.read() as connection:
        sizes = (await connection.execute(select(func.length(model_changes.c.change)))).all()
    assert sizes[1][0] < sizes[0][0] / 3


async def test_another_process_follows_what_one_learns(recommendation_database: Database) -> None:
    other = ModelReplica(recommendation_database)
    await other.load()

    replica = await learn_all(
        recommendation_database, [[an_event(user=user) for user in range(9)] for _ in range(3)]
    )
    await other.catch_up()

    assert other.version == replica.version
    assert other.model.fingerprint == replica.model.fingerprint != 0
    assert other.applied_through == replica.applied_through


async def test_a_process_too_far_behind_folds_the_model_anew(
    recommendation_database: Database,
) -> None:
    other = ModelReplica(recommendation_database)
    await other.load()

    replica = await learn_all(
        recommendation_database, [[an_event(lesson=lesson)] for lesson in range(3)]
    )
    async with recommendation_database.write() as connection:
        await connection.execute(delete(model_changes).where(model_changes.c.version < 3))
    await other.catch_up()

    assert other.version == 3
    assert other.model.fingerprint == replica.model.fingerprint
