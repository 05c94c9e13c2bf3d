"""Small streams of interactions, models learned from them, and tables to compare models by."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from hypothesis import strategies as st

from recommendation_service.model.counts import (
    NO_LESSON,
    PATH_BITS,
    Counts,
    Figure,
    time_weight,
)
from recommendation_service.model.history import Bounds, Interaction, difference, ordered
from recommendation_service.model.model import Model
from recommendation_service.model.sparse_rows import SparseRow
from shared.ids import LessonId

NOW: Final = 1_700_000_000.0  # seconds since 1970
NOTHING: Final = 1e-12
YEAR: Final = 365 * 86_400.0  # seconds

Event = tuple[int, int, float]  # user, lesson, time
Histories = dict[int, list[Interaction]]  # by user, oldest first
Tables = dict[tuple[str, int, int], float]

times = st.floats(NOW - 10 * YEAR, NOW) | st.floats(NOW - 7200.0, NOW) | st.just(NOW)
events = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 12), times), max_size=40)


def histories_of(stream: Iterable[Event]) -> Histories:
    """The interactions of each user: the first time of each lesson."""
    first: dict[int, dict[int, float]] = {}
    for user, lesson, at in stream:
        times = first.setdefault(user, {})
        times[lesson] = min(at, times.get(lesson, at))
    return {
        user: ordered(Interaction(LessonId(lesson), at) for lesson, at in times.items())
        for user, times in first.items()
    }


def learned(stream: Iterable[Event]) -> tuple[Model, Histories]:
    """A model that learned one event after the other, as they come."""
    model = Model()
    histories: Histories = {}
    for user, lesson, at in stream:
        before = histories.get(user, [])
        known = [(user, one.lesson_id, one.at) for one in before]
        after = histories_of([*known, (user, lesson, at)])[user]
        change_history(model, histories, user, after)
    return model, histories


def change_history(model: Model, histories: Histories, user: int, after: list[Interaction]) -> None:
    """Give a user another history, as the service does: changes with the bounds they need."""
    change = difference(histories.get(user, []), after)
    histories[user] = after
    model.apply(change.with_bounds({one: bounds(histories, one) for one in change.lost}))


def bounds(histories: Histories, lesson: LessonId) -> Bounds | None:
    at = [one.at for history in histories.values() for one in history if one.lesson_id == lesson]
    return (min(at), max(at)) if at else None


def tables(model: Model) -> Tables:
    """Every figure of a model that is not NOTHING, by name and lessons.

    Sums that fade with time are measured in interactions that happen NOW: they are exact to a
    rounding error of the heaviest interaction ever counted in them.
    """
    counts, now = model.counts, model.latest
    named = {
        **_rows(
            "neighbours", counts.neighbours, counts.lessons, [1.0 / time_weight(NOW), 1.0, 1.0]
        ),
        **_rows("transitions", counts.transitions, counts.lessons, [1.0, 1.0]),
        **_paths(counts),
        **_figures(counts, now),
    }
    return {key: value for key, value in named.items() if abs(value) > NOTHING}


def _rows(name: str, rows: list[SparseRow], lessons: list[LessonId], scale: list[float]) -> Tables:
    return {
        (f"{name} {figure}", one, lessons[other]): value * scale[figure]
        for one, row in zip(lessons, rows, strict=True)
        for other in row.keys
        for figure, value in enumerate(row.get(other))
    }


def _paths(counts: Counts) -> Tables:
    return {
        (f"path {_path(counts, number)}", one, 0): row.get(number)[0]
        for one, row in zip(counts.lessons, counts.paths, strict=True)
        for number in row.keys
    }


def _path(counts: Counts, number: int) -> tuple[int | None, ...]:
    parts = (number >> 2 * PATH_BITS, number >> PATH_BITS & NO_LESSON, number & NO_LESSON)
    return tuple(None if part == NO_LESSON else counts.lessons[part] for part in parts)


def _figures(counts: Counts, now: float) -> Tables:
    figures = np.concatenate([counts.figures, counts.decayed(now)])
    figures[Figure.RECENT] /= time_weight(NOW)
    return {
        (f"figure {name}", one, 0): float(figures[name, index])
        for index, one in enumerate(counts.lessons)
        for name in range(len(figures))
        if figures[Figure.INTERACTIONS, index]
    }
