"""Whether a watch came from an impression: its lesson was on a list within the window before it."""

from datetime import timedelta

import pytest

from recommendation_service.evaluate.attribution import (
    ATTRIBUTION_WINDOW,
    MAX_CLOCK_SKEW,
    Impression,
    PendingWatch,
    came_from,
)
from shared.ids import LessonId, UserId
from tests.support.examples import NOON

MOMENT = timedelta(microseconds=1)
WATCH = PendingWatch(UserId(1), LessonId(5), at=NOON, learned_at=NOON)


def impression(age: timedelta, *lessons: int) -> Impression:
    return Impression(NOON - age, {LessonId(one) for one in lessons})


@pytest.mark.parametrize("age", [timedelta(0), ATTRIBUTION_WINDOW, -MAX_CLOCK_SKEW])
def test_within_the_window_the_lessons_of_the_list_decide(age: timedelta) -> None:
    assert came_from(WATCH, [impression(age, 4, 5)]) is True
    assert came_from(WATCH, [impression(age, 4)]) is False


@pytest.mark.parametrize("age", [ATTRIBUTION_WINDOW + MOMENT, -MAX_CLOCK_SKEW - MOMENT])
def test_outside_the_window_an_impression_says_nothing(age: timedelta) -> None:
    assert came_from(WATCH, [impression(age, 5)]) is None
    assert came_from(WATCH, [impression(age, 5), impression(timedelta(0), 4)]) is False


def test_one_of_several_impressions_is_enough() -> None:
    day = [impression(timedelta(hours=hours), lesson) for hours, lesson in ((1, 4), (2, 5))]
    assert came_from(WATCH, day) is True


def test_without_an_impression_nothing_can_be_said() -> None:
    assert came_from(WATCH, []) is None
