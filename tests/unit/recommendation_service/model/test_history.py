"""Histories: what an interaction adds, and what a late one changes."""

import json
import zlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendation_service.model.encoding import decode, encode
from recommendation_service.model.history import (
    WINDOW,
    Change,
    Contribution,
    Interaction,
    contributions,
    difference,
    latest_contribution,
    ordered,
)
from shared.ids import MAX_INTEGER, LessonId

lessons = st.integers(0, MAX_INTEGER).map(LessonId)
times = st.floats(-1e12, 1e12)
interactions = st.builds(Interaction, lessons, times)
histories = st.lists(interactions, max_size=40, unique_by=lambda one: one.lesson_id).map(ordered)
changes = st.builds(
    lambda before, after, bounds: difference(before, after).with_bounds(bounds),
    histories,
    histories,
    st.dictionaries(lessons, st.none() | st.tuples(times, times), max_size=3),
)


def a_history(*times: float) -> list[Interaction]:
    return [Interaction(LessonId(number), at) for number, at in enumerate(times, 1)]


def test_an_interaction_is_counted_with_those_before_it_latest_first() -> None:
    first, second, third = contributions(a_history(0.0, 10.0, 5_000.0))

    assert first == Contribution(LessonId(1), 0.0, (), None)
    assert second == Contribution(LessonId(2), 10.0, (LessonId(1),), in_session=True)
    assert third == Contribution(LessonId(3), 5_000.0, (LessonId(2), LessonId(1)), in_session=False)


def test_no_more_than_the_window_is_counted() -> None:
    last = contributions(a_history(*map(float, range(50))))[-1]

    assert last.preceding == tuple(range(49, 49 - WINDOW, -1))


@given(histories.filter(bool))
def test_an_interaction_after_all_others_adds_its_own_contribution_alone(
    history: list[Interaction],
) -> None:
    assert Change((latest_contribution(history),)) == difference(history[:-1], history)


@given(histories, histories)
def test_a_difference_is_what_contributions_differ_by(
    before: list[Interaction], after: list[Interaction]
) -> None:
    change = difference(before, after)

    counts = Counter(contributions(before))
    counts.update(change.added)
    counts.subtract(change.removed)
    assert +counts == Counter(contributions(after))
    assert not -counts
    assert not set(change.added) & set(change.removed)


@given(histories, interactions)
def test_a_late_interaction_changes_only_its_neighbourhood(
    history: list[Interaction], late: Interaction
) -> None:
    change = difference(history, ordered([*history, late]))

    assert len(change.removed) <= WINDOW
    assert len(change.added) <= WINDOW + 1
    assert not change.lost


@given(histories, st.data())
def test_the_part_of_a_history_around_a_change_is_enough(
    history: list[Interaction], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, max(len(history) - 1, 0)))
    after = history[:place] + history[place + 1 :]
    begin, end = max(0, place - WINDOW), place + 1 + WINDOW

    part = difference(history[begin:end], after[begin : end - 1])

    assert part == difference(history, after)


def test_nothing_changes_when_a_history_stays_the_same() -> None:
    change = difference(a_history(1.0, 2.0), a_history(1.0, 2.0))

    assert not change
    assert change == Change()


def test_a_lesson_watched_earlier_than_was_known_loses_its_later_interaction() -> None:
    one, two = a_history(5.0, 9.0)

    change = difference([one, two], ordered([one, two._replace(at=1.0)]))

    assert change.lost == {two.lesson_id}


@given(changes)
def test_an_encoded_change_is_the_same_change(change: Change) -> None:
    assert decode(encode(change)) == change


def test_a_usual_change_is_small() -> None:
    history = [Interaction(LessonId(900 + n), 1_700_000_000.25 + 60 * n) for n in range(30)]

    assert len(encode(difference(history[:-1], history))) < 120


@pytest.mark.parametrize("record", [b"", b"no", zlib.compress(b"no"), zlib.compress(b"[1,2]")])
def test_anything_else_is_no_change(record: bytes) -> None:
    with pytest.raises((ValueError, zlib.error)):
        decode(record)


def test_a_change_can_be_read_without_the_model() -> None:
    record = encode(
        Change(added=(Contribution(LessonId(7), 1.5, (LessonId(3),), in_session=True),))
    )

    assert json.loads(zlib.decompress(record)) == [[[7, 1.5, [3], True]], [], []]
