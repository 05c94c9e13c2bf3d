"""What is recommended: unseen lessons, always the same, and never nothing while there are some."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendation_service.model import candidates
from recommendation_service.model.history import Interaction, ordered
from recommendation_service.model.model import Model
from recommendation_service.model.rank import RankedLesson
from shared.ids import LessonId
from tests.unit.recommendation_service.model.examples import (
    NOW,
    YEAR,
    Event,
    change_history,
    events,
    learned,
)

SMALL_CATALOGUE = st.sampled_from([0, 1_000])  # lessons in a catalogue that is not yet large
FAR_AWAY = (-1e18, -1.0, 0.0, NOW, NOW + 100 * YEAR, 1e18)  # seconds since 1970


def ids(scored: list[RankedLesson]) -> list[int]:
    return [one.lesson_id for one in scored]


def watched(*lessons: int, until: float = NOW) -> list[Interaction]:
    """A history of lessons, a minute apart, the last one at a time."""
    start = until - 60.0 * (len(lessons) - 1)
    return [Interaction(LessonId(one), start + 60.0 * n) for n, one in enumerate(lessons)]


def a_course(users: int = 5) -> Model:
    """Users who watched 1, 2, 3 in this order, and others who watched 7, 8, 9."""
    paths = {user: (1, 2, 3) if user % 2 else (7, 8, 9) for user in range(users)}
    return Model.of(watched(*path, until=NOW - user) for user, path in paths.items())


@given(events, st.integers(1, 4), st.integers(0, 15), st.sets(st.integers(1, 14)), SMALL_CATALOGUE)
def test_every_answer_is_new_to_the_user(
    stream: list[Event], user: int, limit: int, excluded: set[int], few: int
) -> None:
    model, histories = learned(stream)
    history = histories.get(user, [])
    exclude = [LessonId(one) for one in excluded]
    everything = {lesson for _, lesson, _ in stream}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "SMALL_CATALOGUE", few)
        patch.setattr(candidates, "PER_SOURCE", 1)
        answer = model.recommend(history, NOW, limit, exclude)

    unseen = everything - {one.lesson_id for one in history} - excluded
    assert len(answer) == min(limit, len(unseen))
    assert len(set(ids(answer))) == len(answer)
    assert set(ids(answer)) <= unseen
    assert [one.score for one in answer] == sorted((one.score for one in answer), reverse=True)


@given(events, st.sampled_from(FAR_AWAY), st.sampled_from(FAR_AWAY))
def test_any_time_gets_an_answer(stream: list[Event], at: float, now: float) -> None:
    model, histories = learned(stream)

    change_history(model, histories, 5, ordered([Interaction(LessonId(99), at)]))

    for user in (1, 5, 6):
        answer = model.recommend(histories.get(user, []), now, 20)
        assert all(0.0 <= one.score <= 1.0 for one in answer)
        assert len(answer) == model.lessons - len(histories.get(user, []))


def test_an_empty_model_recommends_nothing() -> None:
    model = Model()

    assert model.recommend(watched(1, 2), NOW, 10) == []
    assert model.popular("1d", NOW, 10) == []
    assert model.similar(LessonId(1), 10) == []
    assert model.next(LessonId(1), 10) == []
    assert model.explain(watched(1), NOW, [RankedLesson(LessonId(2), 1.0)]) == [[]]
    assert model.learn_weights(watched(1), LessonId(2), NOW) is None
    assert (model.lessons, model.latest) == (0, 0.0)


def test_what_people_went_on_to_is_recommended_first() -> None:
    model = a_course()

    assert ids(model.recommend(watched(1, 2), NOW, 1)) == [3]
    assert ids(model.recommend(watched(8), NOW, 1)) == [9]


def test_a_lesson_nobody_knows_does_no_harm() -> None:
    model = a_course()

    assert ids(model.recommend(watched(404), NOW, 10)) == ids(model.recommend([], NOW, 10))
    assert ids(model.recommend(watched(404, 1, 2), NOW, 1)) == [3]


def test_a_lesson_nobody_watches_any_more_is_recommended_no_more() -> None:
    model, histories = learned([(1, 7, NOW), (2, 8, NOW)])

    change_history(model, histories, 1, [])

    assert ids(model.recommend([], NOW, 10)) == [8]
    assert ids(model.popular("all", NOW, 10)) == [8]


def test_equal_lessons_are_ordered_by_their_ids() -> None:
    lessons = [5, 3, 9, 1, 7]

    model, _ = learned([(user, lesson, NOW) for user, lesson in enumerate(lessons)])

    assert ids(model.recommend([], NOW, 3)) == [1, 3, 5]
    assert ids(model.popular("1h", NOW, 3)) == [1, 3, 5]


def test_popularity_fades_with_the_window() -> None:
    old = [(user, 1, NOW - 5 * 86_400.0) for user in range(3)]

    model, _ = learned([*old, (9, 2, NOW)])

    assert ids(model.popular("all", NOW, 1)) == [1]
    assert ids(model.popular("1d", NOW, 1)) == [2]
    assert model.popular("1h", NOW, 1)[0].score == pytest.approx(1.0, rel=1e-3)
    assert ids(model.popular("7d", NOW, 2, [LessonId(1)])) == [2]


def test_similar_lessons_are_watched_by_the_same_people() -> None:
    similar = a_course().similar(LessonId(2), 10)

    assert set(ids(similar)) == {1, 3}
    assert all(0.0 < one.score <= 1.0 for one in similar)


def test_the_next_lesson_is_the_one_people_watched_right_after() -> None:
    model = a_course()

    assert ids(model.next(LessonId(1), 10)) == [2]
    assert ids(model.next(LessonId(3), 10)) == []


def test_a_large_catalogue_gives_nearly_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = [(user, 1 + (user + 7 * n) % 150, NOW - user) for user in range(60) for n in range(6)]
    model, histories = learned(stream)
    everything = model.recommend(histories[3], NOW, 10)

    monkeypatch.setattr(candidates, "SMALL_CATALOGUE", 20)
    monkeypatch.setattr(candidates, "PER_SOURCE", 15)

    assert len(set(ids(model.recommend(histories[3], NOW, 10))) & set(ids(everything))) >= 8


def test_a_large_catalogue_forgets_nothing_that_just_became_popular(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, histories = learned([(user, user, NOW - 100 - user) for user in range(400)])
    monkeypatch.setattr(candidates, "SMALL_CATALOGUE", 20)
    monkeypatch.setattr(candidates, "PER_SOURCE", 5)
    assert 555 not in ids(model.recommend(histories[1], NOW, 10))

    for user in range(500, 540):
        change_history(model, histories, user, watched(555, until=NOW))
    assert ids(model.recommend(histories[1], NOW, 1)) == [555]
    for user in range(1_000, 1_300):
        change_history(model, histories, user, watched(user, until=NOW))
    assert 555 in ids(model.recommend(histories[1], NOW, 5))
