"""New lessons get a fair and bounded chance to be watched."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendation_service.model.explore import MAX_NEW_AGE, MIN_INTERACTIONS, Recipient
from recommendation_service.model.history import Interaction
from recommendation_service.model.model import Model
from recommendation_service.model.rank import RankedLesson
from shared.ids import LessonId, UserId
from tests.unit.recommendation_service.model.examples import NOW

LONG_AGO = NOW - 2 * MAX_NEW_AGE
ESTABLISHED = range(100, 130)
NEW = range(900, 920)


def catalogue(new: range = NEW, watched_at: float = NOW - 3600.0) -> Model:
    """Lessons that many users watched long ago and lately, and others that one user watched."""
    histories = [
        [Interaction(LessonId(one), at + one) for one in ESTABLISHED]
        for at in (LONG_AGO, NOW - 5000.0)
        for _ in range(MIN_INTERACTIONS)
    ]
    return Model.of([*histories, [Interaction(LessonId(one), watched_at + one) for one in new]])


MODEL = catalogue()


def ids(scored: list[RankedLesson]) -> list[int]:
    return [one.lesson_id for one in scored]


def asked(user: int, limit: int = 10, share: float = 0.1, now: float = NOW) -> list[int]:
    """What a user who watched the first established lessons is recommended."""
    history = [Interaction(LessonId(one), now - 60.0) for one in ESTABLISHED[:5]]
    return ids(MODEL.recommend(history, now, limit, (), Recipient(UserId(user), share)))


def new_among(lessons: list[int]) -> list[int]:
    return [one for one in lessons if one in NEW]


@given(st.integers(0, 2**63 - 1), st.integers(1, 40), st.floats(0, 0.5))
def test_they_get_their_share_of_the_places_and_the_last_ones(
    user: int, limit: int, share: float
) -> None:
    plain, answer = asked(user, limit, share=0.0), asked(user, limit, share)

    added = [one for one in answer if one not in plain]
    assert answer == plain[: len(plain) - len(added)] + added
    assert new_among(added) == added
    bound = min(limit * share + 1, limit / 2)
    assert len(new_among(answer)) <= max(len(new_among(plain)), bound)
    if limit <= len(ESTABLISHED) - 5:
        assert len(added) >= min(int(limit * share), limit // 2)


def test_every_new_lesson_gets_the_same_chance() -> None:
    shown = Counter(one for user in range(4000) for one in new_among(asked(user)))

    assert set(shown) == set(NEW)
    assert sum(shown.values()) == 4000
    assert min(shown.values()) > 0.6 * max(shown.values())


def test_what_is_left_of_a_whole_place_some_users_get() -> None:
    lucky = sum(bool(new_among(asked(user, limit=5))) for user in range(2000))

    assert 800 < lucky < 1200


def test_a_list_stays_for_a_day_and_changes_from_day_to_day() -> None:
    morning = NOW - NOW % 86_400.0

    today = {user: new_among(asked(user, now=morning + 10.0)) for user in range(50)}
    tonight = {user: new_among(asked(user, now=morning + 86_000.0)) for user in range(50)}
    tomorrow = {user: new_among(asked(user, now=morning + 90_000.0)) for user in range(50)}

    assert today == tonight
    assert sum(today[user] != tomorrow[user] for user in range(50)) > 25


def test_nobody_who_is_not_known_explores() -> None:
    history = [Interaction(LessonId(one), NOW) for one in ESTABLISHED[:5]]

    assert new_among(ids(MODEL.recommend(history, NOW, 10))) == []


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_seen_and_excluded_lessons_do_not_come_back(share: float) -> None:
    history = [Interaction(LessonId(one), NOW) for one in NEW[:10]]
    exclude = [LessonId(one) for one in NEW[10:19]]

    for user in range(50):
        answer = ids(MODEL.recommend(history, NOW, 10, exclude, Recipient(UserId(user), share)))
        assert set(new_among(answer)) <= {NEW[19]}


def test_a_lesson_is_not_new_for_ever() -> None:
    old = catalogue(watched_at=NOW - MAX_NEW_AGE - 1000.0 - max(NEW))

    for user in range(50):
        answer = old.recommend([], NOW, 10, (), Recipient(UserId(user), 0.1))
        assert new_among(ids(answer)) == []


def test_a_lesson_that_ranks_anyway_takes_no_place_from_others() -> None:
    history = [Interaction(LessonId(one), NOW) for one in NEW[:5]]

    plain = MODEL.recommend(history, NOW, 10)
    answer = MODEL.recommend(history, NOW, 10, (), Recipient(UserId(7), 0.1))

    assert new_among(ids(plain)) != []
    assert answer == plain


def test_of_very_many_the_newest_are_shown() -> None:
    model = catalogue(range(1000, 3000), watched_at=NOW - 5000.0)

    shown = {
        lesson
        for user in range(300)
        for lesson in ids(model.recommend([], NOW, 10, (), Recipient(UserId(user), 0.1)))
        if lesson >= 1000
    }

    assert len(shown) > 100
    assert min(shown) >= 2744
