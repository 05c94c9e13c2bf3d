"""A user who met thousands of lessons costs no more than others, and gets correct answers."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommendation_service.event import Event
from recommendation_service.learn import histories
from recommendation_service.learn.recent_interactions import (
    MAX_HISTORY,
    recent_interactions,
    recent_interactions_of,
)
from recommendation_service.model.history import Interaction
from recommendation_service.replicate.model_replica import ModelReplica
from recommendation_service.serve.recommender import ListRequest, Recommender
from recommendation_service.stats import LiveStats
from shared.database.database import Database
from shared.events import Kind
from shared.ids import LessonId, UserId
from tests.integration.learn.test_learn import expected_fingerprint, forget_all, learn_all
from tests.support.examples import NOON, an_event

LESSONS = MAX_HISTORY + 300
FEW_MORE = 5


async def with_a_robot(database: Database, met: int) -> Recommender:
    """A robot met the first lessons in order; people met all of them, ten each."""
    robot = [an_event(1, lesson, minutes=lesson / 10) for lesson in range(met)]
    people = [an_event(100 + lesson // 10, lesson, minutes=lesson) for lesson in range(LESSONS)]
    replica = await learn_all(database, [robot, people])
    return Recommender(database, replica, LiveStats(), explore=0.1)


async def test_what_was_met_long_ago_is_not_recommended(recommendation_database: Database) -> None:
    recommender = await with_a_robot(recommendation_database, LESSONS - 50)

    items, strategy = await recommender.for_user(UserId(1), ListRequest(limit=20))

    assert strategy == "personal"
    assert len(items) == 20
    assert all(item.lesson_id >= LESSONS - 50 for item in items)


async def test_a_robot_that_met_everything_gets_what_is_left(
    recommendation_database: Database,
) -> None:
    recommender = await with_a_robot(recommendation_database, LESSONS - FEW_MORE)

    items, _ = await recommender.for_user(UserId(1), ListRequest(limit=30, explain=True))

    assert {item.lesson_id for item in items} == set(range(LESSONS - FEW_MORE, LESSONS))


@pytest.mark.parametrize("count", [1, 7, 300])
async def test_the_latest_meetings_are_read_in_order(
    recommendation_database: Database, count: int
) -> None:
    # Users of different lengths, with many meetings at the same time.
    lengths = {1: 0, 2: 1, 3: 7, 4: 8, 5: 250}
    events = [
        an_event(user, lesson, minutes=lesson // 20)
        for user, length in lengths.items()
        for lesson in range(length)
    ]
    await learn_all(recommendation_database, [events[::-1]])

    users = [UserId(user) for user in lengths]
    async with recommendation_database.read() as connection:
        found = await recent_interactions_of(recommendation_database, connection, users, count)
        alone = {user: await recent_interactions(connection, user) for user in users}

    for user, length in lengths.items():
        everything = [meeting_of(lesson) for lesson in range(length)]
        assert alone[UserId(user)] == everything
        assert found.get(UserId(user), []) == everything[-count:]


def meeting_of(lesson: int) -> Interaction:
    return Interaction(LessonId(lesson), NOON.timestamp() + 60.0 * (lesson // 20))


@st.composite
def long_histories(draw: st.DrawFn) -> list[list[Event]]:
    """Batches about one user and many lessons, in no order, with equal times and deletions."""
    size = draw(st.integers(30, 90))
    minutes = draw(st.lists(st.integers(0, 60), min_size=size, max_size=size))
    events = [an_event(1, lesson, minutes=minute) for lesson, minute in enumerate(minutes)]
    again = draw(st.lists(st.sampled_from(events), max_size=10))
    events += [an_event(1, one.lesson_id, minutes=draw(st.integers(0, 60))) for one in again]
    for one in draw(st.lists(st.sampled_from(events), max_size=10)):
        gone = an_event(1, one.lesson_id, kind=Kind.DELETED, watch_id=one.watch_id)
        events.append(gone)
    arriving = draw(st.permutations(events))
    length = draw(st.sampled_from([3, 10, 40, 200]))
    return [arriving[start : start + length] for start in range(0, len(arriving), length)]


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(batches=long_histories())
async def test_looking_at_a_part_of_a_history_changes_the_model_as_looking_at_the_whole(
    recommendation_database: Database, batches: Sequence[Sequence[Event]]
) -> None:
    await forget_all(recommendation_database)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histories, "RECENT", 12)
        replica = await learn_all(recommendation_database, batches)

    events = [event for batch in batches for event in batch]
    restarted = ModelReplica(recommendation_database)
    await restarted.load()
    assert restarted.model.fingerprint == expected_fingerprint(events)
    assert replica.model.fingerprint == restarted.model.fingerprint
