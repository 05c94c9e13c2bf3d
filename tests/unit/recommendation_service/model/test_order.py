"""Same events, same model: in any order, any number of times, and after anything is undone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendation_service.model import cooccurrence, counts, fold
from recommendation_service.model.history import Interaction
from recommendation_service.model.model import Model
from shared.ids import LessonId
from tests.unit.recommendation_service.model.examples import (
    NOTHING,
    NOW,
    YEAR,
    Event,
    Tables,
    change_history,
    events,
    histories_of,
    learned,
    tables,
    times,
)


def same(tables: Tables) -> object:
    return {key: pytest.approx(value, rel=1e-9, abs=2 * NOTHING) for key, value in tables.items()}


@given(events, st.data())
def test_any_order_with_repetitions_makes_the_same_model(
    stream: list[Event], data: st.DataObject
) -> None:
    again = data.draw(st.permutations(stream + stream[::2]))

    one, _ = learned(stream)
    other, _ = learned(again)

    assert one.fingerprint == other.fingerprint
    assert tables(one) == same(tables(other))


@given(events)
def test_a_model_folded_at_once_is_the_one_learned_event_by_event(stream: list[Event]) -> None:
    folded = Model.of(histories_of(stream).values())

    one_by_one, _ = learned(stream)

    assert folded.fingerprint == one_by_one.fingerprint
    assert tables(folded) == same(tables(one_by_one))


@given(events, st.integers(0, 6))
def test_a_model_folded_in_portions_is_the_one_folded_at_once(
    stream: list[Event], first: int
) -> None:
    histories = list(histories_of(stream).values())
    whole, model = Model.of(histories), Model()

    folding = fold.Fold(model.counts)
    for portion in (histories[:first], histories[first:], []):
        folding.add(fold.InteractionArrays.of(portion))

    assert folding.finish() == whole.fingerprint
    assert tables(model) == same(tables(whole))


@given(events, st.integers(1, 4))
def test_an_erased_user_was_never_there(stream: list[Event], user: int) -> None:
    model, histories = learned(stream)
    without, _ = learned([event for event in stream if event[0] != user])

    change_history(model, histories, user, [])

    assert model.fingerprint == without.fingerprint
    assert tables(model) == same(tables(without))
    assert model.lessons == without.lessons
    assert model.latest == without.latest


@given(events, st.integers(1, 12), times)
def test_an_interaction_that_is_undone_was_never_there(
    stream: list[Event], lesson: int, at: float
) -> None:
    model, histories = learned(stream)
    before = histories.get(1, [])
    if any(one.lesson_id == lesson for one in before):
        return
    fingerprint, figures = model.fingerprint, tables(model)

    after = sorted([*before, Interaction(LessonId(lesson), at)], key=lambda one: one[::-1])
    change_history(model, histories, 1, after)
    assert model.fingerprint != fingerprint
    change_history(model, histories, 1, before)

    assert model.fingerprint == fingerprint
    assert tables(model) == same(figures)


def test_popularity_survives_an_interaction_ten_years_later_that_is_undone() -> None:
    model, histories = learned([(1, 7, NOW), (2, 8, NOW)])

    change_history(model, histories, 3, [Interaction(LessonId(7), NOW + 10 * YEAR)])
    change_history(model, histories, 3, [])

    hour_later = model.popular("1h", NOW + 3600.0, 10)
    assert [one.score for one in hour_later] == pytest.approx([0.5, 0.5], rel=1e-3)


def test_the_fingerprint_of_nothing_is_zero() -> None:
    assert Model().fingerprint == 0


def test_lessons_beyond_the_longest_path_are_left_out_of_paths(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = [(user, lesson, NOW + lesson) for user in (1, 2) for lesson in range(9)]
    for module in (counts, cooccurrence, fold):
        monkeypatch.setattr(module, "NO_LESSON", 5)

    model, histories = learned(stream)
    folded = Model.of(histories.values())

    assert sum(map(len, model.counts.paths)) == sum(map(len, folded.counts.paths)) == 3
    assert model.recommend(histories[1][:7], NOW, 1)[0].lesson_id == 7
