"""Columns: which column of the feature matrix belongs to which lesson.

If most lessons are candidates, every lesson gets a column, and the columns of the others are
cleared at the end. That is faster than selecting the candidates from every array, and several users
can share the columns, with one row each. If few lessons are candidates, only these get a column,
for one user.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from recommendation_service.model.arrays import Array, Floats, Indices

MIN_WHOLE: Final = 0.5  # share of candidates among all lessons, from which all get a column

_NOTHING: Final = np.zeros(0, np.int64)


def scores_all(candidates: Indices, lessons: int) -> bool:
    """Whether to score all lessons, of which there are so many, rather than the candidates."""
    return len(candidates) >= MIN_WHOLE * lessons


class Columns:
    """The columns of the sorted candidates of each user, at least one, among so many lessons.

    Several users share columns only if `scores_all` holds for each.
    """

    def __init__(self, candidates: Sequence[Indices], lessons: int) -> None:
        self.candidates = candidates
        self.is_whole = scores_all(candidates[0], lessons)
        self.size = lessons if self.is_whole else len(candidates[0])
        self.excluded = _NOTHING  # columns, counted through all rows, of lessons to leave out
        if self.is_whole:
            is_candidate = np.zeros((len(candidates), lessons), bool)
            for row, some in zip(is_candidate, candidates, strict=True):
                row[some] = True
            self.excluded = np.flatnonzero(~is_candidate)
        else:
            # All lessons without a column of their own share one, after the others.
            self._columns = np.full(lessons, self.size)
            self._columns[candidates[0]] = np.arange(self.size)

    def take(self, values: Array) -> Array:
        """The values of all lessons, arranged in columns: [..., lessons] to [..., size]."""
        return values if self.is_whole else values.take(self.candidates[0], axis=-1)

    def of(self, lessons: Indices) -> Indices:
        """The column of each lesson."""
        return lessons if self.is_whole else self._columns.take(lessons)

    def sums(self, columns: Indices, terms: Floats) -> Floats:
        """The sum of the terms in each column: [users, size].

        Columns are counted through all rows: a row begins where the one before it ends.
        """
        shape = len(self.candidates), self.size
        sums = np.bincount(columns, terms, shape[0] * shape[1] + 1)[:-1]
        sums[self.excluded] = 0.0
        return np.asarray(sums.reshape(shape))
