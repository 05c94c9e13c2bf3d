"""Features: popularity, age and lessons passed by, with numbers computed by hand."""

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendation_service.model.arrays import Logs
from recommendation_service.model.columns import Columns
from recommendation_service.model.features import LESSON_BASED, NAMES, features, user_context
from recommendation_service.model.history import Interaction
from recommendation_service.model.model import Model
from recommendation_service.model.popularity import PopularityCache
from recommendation_service.model.smoothing import FLOOR
from shared.ids import LessonId
from tests.unit.recommendation_service.model.examples import NOW, Event, learned

HOUR, DAY = 3600.0, 86_400.0


def history(*events: tuple[int, float]) -> list[Interaction]:
    return [Interaction(LessonId(lesson), at) for lesson, at in events]


def all_columns(model: Model, users: int = 1) -> Columns:
    size = len(model.counts)
    return Columns([np.arange(size)] * users, size)


def features_of(model: Model, *histories: list[Interaction]) -> Logs:
    """The features of all lessons for users: [users, features, lessons]."""
    users = [user_context(model.counts, one, NOW) for one in histories]
    return features(PopularityCache(model.counts), users, all_columns(model, len(users)))


def feature(model: Model, name: str, events: list[Interaction]) -> dict[int, float]:
    values = features_of(model, events)[0, NAMES.index(name)].tolist()
    return dict(zip(model.counts.lessons, values, strict=True))


def test_popular_lessons_fade_with_the_half_life_of_the_feature() -> None:
    model, _ = learned([(1, 7, NOW - HOUR), (2, 7, NOW), (3, 8, NOW - 2 * HOUR)])

    by_hour = feature(model, "popular_hour", [])

    counts = {7: 0.5 + 1.0, 8: 0.25}
    shares = {lesson: count / 1.75 for lesson, count in counts.items()}
    assert by_hour == pytest.approx(
        {lesson: log(1 + share / FLOOR) for lesson, share in shares.items()}, rel=1e-3
    )


def test_background_and_first_lessons_are_shares_of_recent_interactions() -> None:
    ago = NOW - 7 * DAY
    model, _ = learned([(1, 7, NOW), (2, 7, NOW), (3, 7, NOW), (4, 7, ago - 1.0), (4, 8, ago)])

    background = PopularityCache(model.counts).of(all_columns(model), NOW).background.tolist()
    starts = feature(model, "start", [])

    shares = [(3.5 + 0.1 * 4 / 5) / 4.1, (0.5 + 0.1 * 1 / 5) / 4.1]
    assert background == pytest.approx(shares, rel=1e-3)
    own = 3.5 / (3.5 + 3.0)
    of_starts = [own + (1 - own) * shares[0], (1 - own) * shares[1]]
    assert starts == pytest.approx(
        {7: log(1 + of_starts[0] / FLOOR), 8: log(1 + of_starts[1] / FLOOR)}, rel=1e-3
    )


def test_a_lesson_ages_from_its_first_interaction() -> None:
    model, _ = learned([(1, 7, NOW - DAY), (2, 7, NOW), (3, 8, NOW)])

    ages = feature(model, "age", [])

    assert ages == pytest.approx({7: -0.3 * log((DAY + 600) / 600), 8: 0.0}, abs=1e-6)


def test_a_lesson_is_passed_by_whenever_the_user_was_active_after_it_appeared() -> None:
    own = history((1, NOW - 30.0), (2, NOW - 20.0), (3, NOW - 10.0))
    others: list[Event] = [(2, 7, NOW - DAY), (3, 8, NOW - 15.0), (4, 9, NOW - 10.0), (5, 10, NOW)]
    model, _ = learned([*((1, *one) for one in own), *others])

    passed = feature(model, "passed", own)

    penalties = [0.0, -0.5, -0.5 - 0.5 / sqrt(2), -0.5 - 0.5 / sqrt(2) - 0.5 / sqrt(3)]
    expected = {7: penalties[3], 8: penalties[1], 9: penalties[0], 10: penalties[0]}
    assert {lesson: passed[lesson] for lesson in expected} == pytest.approx(expected, rel=1e-6)


def test_first_lessons_of_users_count_only_for_users_without_a_known_lesson() -> None:
    model, histories = learned([(1, 7, NOW - 60.0), (2, 8, NOW)])

    assert feature(model, "start", histories[1]) == {7: 0.0, 8: 0.0}
    assert min(feature(model, "start", []).values()) > 0.0
    assert min(feature(model, "start", history((404, NOW))).values()) > 0.0


def test_a_user_without_a_known_lesson_gets_the_background_for_every_cooccurrence() -> None:
    model, histories = learned([(1, 7, NOW - 60.0), (1, 8, NOW - 50.0), (2, 8, NOW)])

    alone, beside = features_of(model, []), features_of(model, [], histories[1])

    for rows in (alone[0, LESSON_BASED], beside[0, LESSON_BASED]):
        assert np.ptp(rows, axis=0).max() < 1e-5
    assert np.ptp(beside[1, LESSON_BASED], axis=0).max() > 0.1


@given(st.integers(1, 40), st.integers(0, 40))
def test_equal_lessons_get_the_same_score_to_the_last_bit(equal: int, others: int) -> None:
    starting = [history((1000 + one, NOW - DAY - one), (500, NOW - DAY)) for one in range(others)]
    going_on = [history((500, NOW - 60.0), (lesson, NOW)) for lesson in range(equal)]
    model = Model.of([*starting, *going_on])

    scores = {
        one.lesson_id: one.score
        for one in model.recommend(history((500, NOW - 30.0)), NOW, equal + others)
    }

    assert len({scores[LessonId(lesson)] for lesson in range(equal)}) == 1
