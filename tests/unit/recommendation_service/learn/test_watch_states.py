"""Watch states: the latest wins, in any order of arrival, any number of times."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from recommendation_service.event import Event
from recommendation_service.learn.watch_states import (
    Pair,
    WatchChange,
    WatchState,
    changed_pairs,
    is_covered,
    later_states,
    latest_states,
    watch_state_of,
)
from shared.events import Kind
from shared.ids import LessonId, UserId
from tests.support.examples import NOON, an_event

WATCH = UUID(int=1)


@st.composite
def events_of_a_watch(draw: st.DrawFn) -> Event:
    minutes = draw(st.integers(0, 2))
    return an_event(
        lesson=draw(st.integers(1, 2)),
        kind=draw(st.sampled_from([Kind.CREATED, Kind.UPDATED, Kind.DELETED])),
        watch_id=WATCH,
        position=draw(st.integers(0, 3)),
        minutes=minutes,
        reported=minutes + draw(st.integers(0, 2)),
    )._replace(
        furthest=draw(st.none() | st.integers(0, 3)), duration=draw(st.none() | st.integers(0, 3))
    )


def without_recording(state: WatchState) -> tuple[object, ...]:
    """The state but for `recorded_at`, which tells nothing of the watch."""
    nothing = state._replace(recorded_at=None, furthest=state.furthest or 0)
    return nothing._replace(duration=state.duration or 0)


def kept(batches: Sequence[Sequence[Event]]) -> WatchState:
    """The state that is stored after all batches."""
    stored: dict[tuple[UserId, UUID], WatchState] = {}
    for batch in batches:
        stored |= later_states(batch, stored)
    (state,) = stored.values()
    return state


@given(st.lists(events_of_a_watch(), min_size=1, max_size=8), st.data())
def test_any_order_repetition_and_division_into_batches_keep_the_same_state(
    events: list[Event], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(events), max_size=4))
    arriving = data.draw(st.permutations(events + again))
    size = data.draw(st.integers(1, len(arriving)))
    batches = [arriving[start : start + size] for start in range(0, len(arriving), size)]

    assert without_recording(kept(batches)) == without_recording(kept([events]))


def test_a_deletion_is_later_than_any_report() -> None:
    gone = an_event(kind=Kind.DELETED, watch_id=WATCH, minutes=0)
    report = an_event(kind=Kind.UPDATED, watch_id=WATCH, minutes=50)

    assert kept([[gone], [report]]).deleted
    assert kept([[report], [gone]]).deleted


def test_a_later_report_wins_over_a_larger_position() -> None:
    far = an_event(watch_id=WATCH, position=600, reported=1)
    late = an_event(watch_id=WATCH, position=5, reported=2)

    assert kept([[far, late]]).position == 5


def test_rows_are_locked_in_the_order_of_their_keys() -> None:
    events = [an_event(user=user, watch_id=UUID(int=10 - user)) for user in (3, 1, 2)]

    assert list(latest_states(events)) == sorted(latest_states(events))


def change(before: Event | None, after: Event) -> WatchChange:
    return WatchChange(before and watch_state_of(before), watch_state_of(after))


PAIR = Pair(UserId(42), LessonId(100))


def test_a_new_watch_adds_its_pair_from_the_earliest_time_on() -> None:
    pairs = changed_pairs([change(None, an_event(minutes=minutes)) for minutes in (9, 3, 6)])

    assert pairs.watched == {PAIR: NOON + timedelta(minutes=3)}
    assert pairs.withdrawn == set()


def test_a_report_changes_no_pair() -> None:
    created = an_event(watch_id=WATCH)
    report = an_event(watch_id=WATCH, kind=Kind.UPDATED, position=400, reported=5)

    pairs = changed_pairs([change(created, report)])

    assert (pairs.watched, pairs.withdrawn) == ({}, set())


def test_a_deleted_watch_withdraws_its_pair_also_where_it_was_not_stored() -> None:
    gone = an_event(watch_id=WATCH, kind=Kind.DELETED)

    assert changed_pairs([change(None, gone)]).withdrawn == {PAIR}
    assert changed_pairs([change(an_event(watch_id=WATCH), gone)]).withdrawn == {PAIR}


def test_a_watch_that_moves_to_another_lesson_withdraws_both_pairs() -> None:
    before, after = (an_event(lesson=lesson, watch_id=WATCH) for lesson in (100, 7))

    pairs = changed_pairs([change(before, after)])

    assert pairs.withdrawn == {PAIR, Pair(UserId(42), LessonId(7))}
    assert pairs.watched == {}


def test_an_event_is_covered_by_a_state_that_is_as_late() -> None:
    event = an_event(watch_id=WATCH, reported=5)
    earlier = watch_state_of(an_event(watch_id=WATCH, reported=4))

    assert is_covered(event, watch_state_of(event))
    assert not is_covered(event, earlier)
    assert not is_covered(event, None)


def test_an_event_without_a_time_is_covered_by_the_watch_that_it_created() -> None:
    first = an_event(event_id=WATCH)
    again = first._replace(occurred_at=NOON + timedelta(days=1), is_dated=False)

    assert is_covered(again._replace(reported_at=again.occurred_at), watch_state_of(first))
