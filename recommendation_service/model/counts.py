"""Counts: the tables of the model, each a sum over contributions.

    neighbours[a], about b    FORWARD  sum of 1/k when b was met k meetings after a, k = 1 ... 10
                              BACKWARD the same when a was met k meetings after b
                              RECENT   FORWARD, each term weighted by 2^(t / 60 days)
    transitions[a], about b   IN_SESSION / ACROSS: times b was met right after a, by the pause
    paths[a], about b, c, d   times d was met right after a, that after b, that after c
    popularity                meetings, halved in weight after an hour, a day, a week
    starts                    first meetings of users, halved in weight after a week
    figures                   per lesson: meetings, first and last time, and sums of the rows above

1/k is counted in units of 1/2520, so that everything but RECENT is a sum of whole numbers, exact in
any order. RECENT is exact to a rounding error of the heaviest meeting ever counted in it.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from math import exp2, inf
from typing import Final

import numpy as np

from recommendation_service.model.arrays import Floats, Indices, Mask
from recommendation_service.model.decayed_counts import DecayedCounts
from recommendation_service.model.history import Bounds, Contribution
from recommendation_service.model.sparse_rows import Row
from shared.ids import LessonId

SHARES: Final = 2520  # the least number that 1 ... 10 divide
RECENT, FORWARD, BACKWARD = range(3)
IN_SESSION, ACROSS = range(2)
MET, FIRST, LAST, ROW_RECENT, ROW_FORWARD, ROW_IN_SESSION, ROW_ACROSS = range(7)

HALF_LIFE: Final = 60 * 86400.0  # seconds; of RECENT
EPOCH: Final = 1_600_000_000.0  # seconds since 1970; where a weight is 1. Any time would do
FARTHEST: Final = 500.0  # half-lives, about 80 years; no weight goes beyond
PATH_BITS: Final = 21  # per lesson in a path; lessons with a larger index are in no path
NO_LESSON: Final = 2**PATH_BITS - 1  # stands for c where nothing came before b

JUST: Final = 256  # latest changes whose lessons are remembered
WINDOWS: Final = {"1h": 3600.0, "1d": 86400.0, "7d": 7 * 86400.0}  # half-lives in seconds

_NEW = np.array([0.0, inf, -inf, 0.0, 0.0, 0.0, 0.0])


def weight(at: float) -> float:
    """What a meeting at that time weighs among meetings at other times."""
    return exp2(min(max((at - EPOCH) / HALF_LIFE, -FARTHEST), FARTHEST))


def path_numbers(second: Indices, third: Indices, other: Indices) -> Indices:
    """The numbers of paths in the row of the lesson before `other`, see `Counts`."""
    return np.asarray((second << 2 * PATH_BITS) + (third << PATH_BITS) + other)


def path_number(second: int, third: int, other: int) -> int:
    """The same for one path."""
    return (second << 2 * PATH_BITS) + (third << PATH_BITS) + other


class Counts:
    """What is known about lessons. A lesson has an index, given when it is first heard of."""

    def __init__(self) -> None:
        self.index: dict[LessonId, int] = {}
        self.lessons: list[LessonId] = []  # by index
        self.neighbours: list[Row] = []
        self.transitions: list[Row] = []
        self.paths: list[Row] = []
        self.popularity = {window: DecayedCounts(half) for window, half in WINDOWS.items()}
        self.starts = DecayedCounts(WINDOWS["7d"])
        self.just_met: deque[int] = deque(maxlen=JUST)
        self.changes = 0  # meetings that came or went, and times set
        self._figures = np.repeat(_NEW[:, None], 64, axis=1)
        self._ids = np.zeros(64, np.int64)

    def __len__(self) -> int:
        return len(self.lessons)

    @property
    def figures(self) -> Floats:
        """MET, FIRST, ... ROW_ACROSS of each lesson: [7, lessons]."""
        return self._figures[:, : len(self.lessons)]

    @property
    def ids(self) -> Indices:
        """The lessons by index, as an array: [lessons]."""
        return self._ids[: len(self.lessons)]

    def index_of(self, lesson_id: LessonId) -> int:
        """The index of a lesson, given to it now if it has none."""
        index = self.index.get(lesson_id)
        if index is None:
            index = self.index[lesson_id] = len(self.lessons)
            self.lessons.append(lesson_id)
            self.neighbours.append(Row(3))
            self.transitions.append(Row(2))
            self.paths.append(Row(1))
            if index == self._figures.shape[1]:
                more = np.repeat(_NEW[:, None], index, axis=1)
                self._figures = np.concatenate([self._figures, more], axis=1)
                self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)])
            self._ids[index] = lesson_id
        return index

    def add(self, contribution: Contribution) -> None:
        """Count a contribution."""
        index = self.index_of(contribution.lesson_id)
        before = [self.index_of(lesson_id) for lesson_id in contribution.preceding]
        self._meet(index, contribution, 1)
        recent = weight(contribution.at)
        for lag, other in enumerate(before, 1):
            self._pair(other, index, SHARES // lag, recent / lag)
        self._follow(before, index, contribution, 1)

    def subtract(self, contribution: Contribution) -> None:
        """Take away a contribution that was added before; first and last times stay."""
        index = self.index_of(contribution.lesson_id)
        before = [self.index_of(lesson_id) for lesson_id in contribution.preceding]
        self._meet(index, contribution, -1)
        recent = weight(contribution.at)
        for lag, other in enumerate(before, 1):
            self._pair(other, index, -(SHARES // lag), -recent / lag)
            self._tidy(other, index)
        self._follow(before, index, contribution, -1)

    def set_bounds(self, bounds: Mapping[LessonId, Bounds | None]) -> None:
        """Set when lessons were first and last met; None for lessons nobody meets any more."""
        for lesson_id, times in bounds.items():
            index = self.index_of(lesson_id)
            self._figures[FIRST, index], self._figures[LAST, index] = times or (inf, -inf)
            self.changes += 1

    def without(self, excluded: Iterable[LessonId], mask: Mask | None = None) -> Indices:
        """The lessons that somebody met, of those in the mask, but for some: indices, sorted."""
        met = self.figures[MET] > 0
        if mask is not None:
            met &= mask
        known = (self.index.get(lesson_id) for lesson_id in excluded)
        met[[index for index in known if index is not None]] = False
        return np.flatnonzero(met)

    def ways(self, index: int) -> float:
        """How often people went on from a lesson."""
        return float(self._figures[ROW_IN_SESSION, index] + self._figures[ROW_ACROSS, index])

    def decayed(self, now: float) -> list[Floats]:
        """Popularity by hour, day and week, then starts: four of [lessons]."""
        counts = (*self.popularity.values(), self.starts)
        return [one.at(now, len(self)) for one in counts]

    def _meet(self, index: int, contribution: Contribution, times: int) -> None:
        figures, at = self._figures, contribution.at
        figures[MET, index] += times
        self.changes += 1
        self.just_met.append(index)
        for counts in self.popularity.values():
            counts.shift(index, at, times)
        if not contribution.preceding:
            self.starts.shift(index, at, times)
        if times > 0:
            figures[FIRST, index] = min(at, figures[FIRST, index])
            figures[LAST, index] = max(at, figures[LAST, index])
        elif figures[MET, index] <= 0:
            figures[FIRST, index], figures[LAST, index] = inf, -inf

    def _pair(self, before: int, index: int, shares: int, recent: float) -> None:
        row = self.neighbours[before]
        start = row.place(index)
        row.figures[start + RECENT] += recent
        row.figures[start + FORWARD] += shares
        row = self.neighbours[index]
        row.figures[row.place(before) + BACKWARD] += shares
        self._figures[ROW_RECENT, before] += recent
        self._figures[ROW_FORWARD, before] += shares

    def _tidy(self, before: int, index: int) -> None:
        """Forget a pair that no longer occurs, with the rounding errors it leaves behind."""
        for one, other in ((before, index), (index, before)):
            row = self.neighbours[one]
            start = row.place(other)
            if not row.figures[start + FORWARD]:
                row.figures[start + RECENT] = 0.0
                if not row.figures[start + BACKWARD]:
                    row.forget(start)
        row = self.neighbours[before]
        self._figures[ROW_RECENT, before] = row.total(RECENT)

    def _follow(self, before: list[int], index: int, one: Contribution, times: int) -> None:
        if not before:
            return
        kind = IN_SESSION if one.in_session else ACROSS
        _shift(self.transitions[before[0]], index, kind, times)
        self._figures[ROW_IN_SESSION + kind, before[0]] += times
        if len(before) > 1 and max(index, *before[:3]) < NO_LESSON:
            third = before[2] if len(before) > 2 else NO_LESSON
            _shift(self.paths[before[0]], path_number(before[1], third, index), 0, times)


def _shift(row: Row, other: int, figure: int, times: int) -> None:
    """Add to a figure of a row, and forget what is left with none."""
    start = row.place(other)
    row.figures[start + figure] += times
    if times < 0 and not any(row.figures[start : start + row.width]):
        row.forget(start)
