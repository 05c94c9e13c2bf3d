"""Explanations: the lessons that led to a recommendation, adding up to its score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendation_service.model.rank import RankedLesson
from shared.ids import LessonId
from tests.unit.recommendation_service.model.examples import NOW, Event, events, learned


@given(events, st.integers(1, 4))
def test_contributions_add_up_to_the_score(stream: list[Event], user: int) -> None:
    model, histories = learned(stream)
    history = histories.get(user, [])
    watched = {one.lesson_id for one in history}

    for scored in model.recommend(history, NOW, 10):
        [reasons] = model.explain(history, NOW, [scored])

        assert {one.lesson_id for one in reasons} <= watched
        assert not reasons or sum(one.contribution for one in reasons) == pytest.approx(
            scored.score, rel=0, abs=1e-9
        )
        sizes = [one.contribution for one in reasons]
        assert sizes == sorted(sizes, reverse=True)


def test_the_lesson_people_came_from_is_named() -> None:
    others = [(user, lesson, NOW - 900 + lesson) for user in range(2, 6) for lesson in (1, 2)]
    model, histories = learned([*others, (9, 7, NOW - 20), (1, 5, NOW - 60), (1, 1, NOW - 30)])
    [first, *_] = model.recommend(histories[1], NOW, 1)

    [reasons] = model.explain(histories[1], NOW, [first])

    assert first.lesson_id == 2
    assert [one.lesson_id for one in reasons] == [1]


def test_what_no_lesson_led_to_is_not_explained() -> None:
    model, histories = learned([(1, 1, NOW - 9), (2, 2, NOW - 5)])

    assert model.explain(histories[1], NOW, [RankedLesson(LessonId(2), 0.5)]) == [[]]
    assert model.explain([], NOW, [RankedLesson(LessonId(2), 0.5)]) == [[]]
