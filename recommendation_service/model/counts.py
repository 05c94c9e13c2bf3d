"""Counts: the tables of the model, each a sum over contributions.

    neighbours[a], about b    FORWARD  sum of 1/k: b was the k-th interaction after a, k = 1 ... 10
                              BACKWARD the same, with a and b exchanged
                              RECENT   FORWARD, each term weighted by 2^(t / 60 days)
    transitions[a], about b   IN_SESSION / NEW_SESSION: times b came right after a, by the pause
    paths[a], about b, c, d   times d came right after a, that after b, that after c
    popularity                interactions, with a half-life of an hour, a day, a week
    starts                    first interactions of users, with a half-life of a week
    figures                   per lesson: interactions, first and last time, sums of the rows above

1/k is counted in units of 1/2520, so that everything but RECENT is a sum of whole numbers, exact in
any order. RECENT is exact to a rounding error of the heaviest interaction ever counted in it.
"""

from collections import deque
from collections.abc import Collection, Mapping
from math import exp2, inf
from typing import Final

import numpy as np

from recommendation_service.model.arrays import Floats, Index, Indices, Mask
from recommendation_service.model.decayed_counts import DecayedCounts
from recommendation_service.model.history import Bounds, Contribution
from recommendation_service.model.sparse_rows import SparseRow
from shared.ids import LessonId

LAG_UNITS: Final = 2520  # the least common multiple of 1 ... 10
HALF_LIFE: Final = 60 * 86400.0  # seconds; of RECENT
REFERENCE_TIME: Final = (
    1_600_000_000.0  # seconds since 1970; has a time weight of 1. Any time would do
)
MAX_HALF_LIVES: Final = 500.0  # from EPOCH, about 80 years; time weights are limited to these
PATH_BITS: Final = 21  # per lesson in a path; lessons with a larger index are in no path
NO_LESSON: Final = 2**PATH_BITS - 1  # stands for c where nothing came before b
MAX_RECENTLY_CHANGED: Final = 256  # latest changes whose lessons are remembered
WINDOWS: Final = {"1h": 3600.0, "1d": 86400.0, "7d": 7 * 86400.0}  # half-lives in seconds

_NO_INTERACTIONS = np.array([0.0, inf, -inf, 0.0, 0.0, 0.0, 0.0])


class Neighbour:  # plain numbers: with members of an enum, counting takes a tenth longer
    """The values of a row of `Counts.neighbours`."""

    RECENT, FORWARD, BACKWARD = range(3)


class Transition:
    """The values of a row of `Counts.transitions`."""

    IN_SESSION, NEW_SESSION = range(2)


class Figure:
    """The rows of `Counts.figures`; from RECENT on, sums over all neighbours or transitions."""

    INTERACTIONS, FIRST, LAST, RECENT, FORWARD, IN_SESSION, NEW_SESSION = range(7)


def time_weight(at: float) -> float:
    """The weight of an interaction at a time, relative to one at EPOCH."""
    return exp2(min(max((at - REFERENCE_TIME) / HALF_LIFE, -MAX_HALF_LIVES), MAX_HALF_LIVES))


def path_key(second: Index, third: Index, other: Index) -> Index:
    """The key of a path that ends at `other`, in the row of the lesson before it, see `Counts`."""
    return (second << 2 * PATH_BITS) + (third << PATH_BITS) + other


class Counts:
    """Statistics of lessons. A lesson gets an index when it is first mentioned."""

    def __init__(self) -> None:
        self.index: dict[LessonId, int] = {}
        self.lessons: list[LessonId] = []  # by index
        self.neighbours: list[SparseRow] = []
        self.transitions: list[SparseRow] = []
        self.paths: list[SparseRow] = []
        self.popularity = {window: DecayedCounts(half) for window, half in WINDOWS.items()}
        self.starts = DecayedCounts(WINDOWS["7d"])
        self.recently_changed: deque[int] = deque(maxlen=MAX_RECENTLY_CHANGED)
        self.changes = 0  # interactions added or removed, and times set
        self._figures = np.repeat(_NO_INTERACTIONS[:, None], 64, axis=1)
        self._ids = np.zeros(64, np.int64)

    def __len__(self) -> int:
        return len(self.lessons)

    @property
    def figures(self) -> Floats:
        """The figures of each lesson, see `Figure`: [7, lessons]."""
        return self._figures[:, : len(self.lessons)]

    @property
    def ids(self) -> Indices:
        """The ids of lessons by index: [lessons]."""
        return self._ids[: len(self.lessons)]

    def index_of(self, lesson_id: LessonId) -> int:
        """The index of a lesson; a lesson without one gets the next."""
        index = self.index.get(lesson_id)
        if index is None:
            index = self.index[lesson_id] = len(self.lessons)
            self.lessons.append(lesson_id)
            self.neighbours.append(SparseRow(3))
            self.transitions.append(SparseRow(2))
            self.paths.append(SparseRow(1))
            if index == self._figures.shape[1]:
                added = np.repeat(_NO_INTERACTIONS[:, None], index, axis=1)
                self._figures = np.concatenate([self._figures, added], axis=1)
                self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)])
            self._ids[index] = lesson_id
        return index

    def add(self, contribution: Contribution, times: int = 1) -> None:
        """Add a contribution, or with -1 subtract one added before; first and last times stay."""
        index = self.index_of(contribution.lesson_id)
        before = [self.index_of(lesson_id) for lesson_id in contribution.preceding]
        self._add_interaction(index, contribution, times)
        recent = times * time_weight(contribution.at)
        for lag, other in enumerate(before, 1):
            self._add_pair(other, index, times * (LAG_UNITS // lag), recent / lag)
            if times < 0:
                self._drop_empty_pair(other, index)
        self._add_transition(before, index, contribution, times)

    def set_bounds(self, bounds: Mapping[LessonId, Bounds | None]) -> None:
        """Set the first and last time of lessons; None for lessons without interactions."""
        for lesson_id, times in bounds.items():
            index = self.index_of(lesson_id)
            self._figures[[Figure.FIRST, Figure.LAST], index] = times or (inf, -inf)
            self.changes += 1

    def watched(self, excluded: Collection[LessonId] = (), mask: Mask | None = None) -> Indices:
        """The lessons with interactions, in the mask and not excluded: indices, sorted."""
        is_watched = self.figures[Figure.INTERACTIONS] > 0
        if mask is not None:
            is_watched &= mask
        known = (self.index.get(lesson_id) for lesson_id in excluded)
        is_watched[[index for index in known if index is not None]] = False
        return np.flatnonzero(is_watched)

    def continuations(self, index: int) -> float:
        """How often users went on from a lesson to another."""
        figures = self._figures
        return float(figures[Figure.IN_SESSION, index] + figures[Figure.NEW_SESSION, index])

    def decayed(self, now: float) -> list[Floats]:
        """Popularity by hour, day and week, then starts: four of [lessons]."""
        return [one.at(now, len(self)) for one in (*self.popularity.values(), self.starts)]

    def _add_interaction(self, index: int, contribution: Contribution, times: int) -> None:
        figures, at = self._figures, contribution.at
        figures[Figure.INTERACTIONS, index] += times
        self.changes += 1
        self.recently_changed.append(index)
        for counts in self.popularity.values():
            counts.add(index, at, times)
        if not contribution.preceding:
            self.starts.add(index, at, times)
        if times > 0:
            figures[Figure.FIRST, index] = min(at, figures[Figure.FIRST, index])
            figures[Figure.LAST, index] = max(at, figures[Figure.LAST, index])
        elif figures[Figure.INTERACTIONS, index] <= 0:
            figures[Figure.FIRST, index], figures[Figure.LAST, index] = inf, -inf

    def _add_pair(self, before: int, index: int, units: int, recent: float) -> None:
        row = self.neighbours[before]
        offset = row.offset_of(index)
        row.values[offset + Neighbour.RECENT] += recent
        row.values[offset + Neighbour.FORWARD] += units
        row = self.neighbours[index]
        row.values[row.offset_of(before) + Neighbour.BACKWARD] += units
        self._figures[Figure.RECENT, before] += recent
        self._figures[Figure.FORWARD, before] += units

    def _drop_empty_pair(self, before: int, index: int) -> None:
        """Remove a pair that no longer occurs, and the rounding errors that it leaves behind."""
        for one, other in ((before, index), (index, before)):
            row = self.neighbours[one]
            offset = row.offset_of(other)
            if not row.values[offset + Neighbour.FORWARD]:
                row.values[offset + Neighbour.RECENT] = 0.0
                if not row.values[offset + Neighbour.BACKWARD]:
                    row.remove(offset)
        row = self.neighbours[before]
        self._figures[Figure.RECENT, before] = row.sum_of(Neighbour.RECENT)

    def _add_transition(self, before: list[int], index: int, one: Contribution, times: int) -> None:
        if not before:
            return
        kind = Transition.IN_SESSION if one.in_session else Transition.NEW_SESSION
        _add_value(self.transitions[before[0]], index, kind, times)
        self._figures[Figure.IN_SESSION + kind, before[0]] += times
        if len(before) > 1 and max(index, *before[:3]) < NO_LESSON:
            third = before[2] if len(before) > 2 else NO_LESSON
            _add_value(self.paths[before[0]], path_key(before[1], third, index), 0, times)


def _add_value(row: SparseRow, key: int, column: int, times: int) -> None:
    """Add to one value of a key, and remove the key when all its values are zero."""
    offset = row.offset_of(key)
    row.values[offset + column] += times
    if times < 0 and not any(row.values[offset : offset + row.width]):
        row.remove(offset)
