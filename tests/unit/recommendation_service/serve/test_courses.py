"""The next lesson of a course: after this one, and from the start again where that is wanted."""

from collections.abc import Collection

import pytest

from recommendation_service.learn.lessons import LessonState
from recommendation_service.serve.courses import next_in_course
from shared.ids import LessonId
from shared.lessons import Lesson

COURSE = [LessonState(LessonId(number), Lesson()) for number in (30, 10, 20)]  # in course order


def following(lesson: int, *excluded: int, wrap_around: bool = False) -> int | None:
    out: Collection[LessonId] = {LessonId(one) for one in excluded}
    return next_in_course(COURSE, LessonId(lesson), out, wrap_around=wrap_around)


@pytest.mark.parametrize(("lesson", "expected"), [(30, 10), (10, 20), (20, None)])
def test_the_next_lesson_is_the_one_behind_in_course_order(
    lesson: int, expected: int | None
) -> None:
    assert following(lesson) == expected


def test_an_excluded_lesson_is_passed_over() -> None:
    assert following(30, 10) == 20
    assert following(30, 10, 20) is None


def test_around_the_end_come_the_lessons_that_were_left_out() -> None:
    assert following(20, wrap_around=True) == 30
    assert following(20, 30, wrap_around=True) == 10
    assert following(10, 20, 30, wrap_around=True) is None  # never the lesson itself


def test_a_lesson_outside_the_course_has_no_next_one() -> None:
    assert following(40) is None
    assert following(40, wrap_around=True) == 30
    assert next_in_course([], LessonId(40), (), wrap_around=True) is None
