"""Field: where the lessons stand that are scored together.

Where most lessons are candidates, all of them are scored, and what is no candidate is left out in
the end: that is quicker than to pick most of them out of every figure, and lets several users share
a field, a row for each. Where few of many are, the field is these alone, for one user.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from recommendation_service.model.arrays import Array, Floats, Indices

MOST: Final = 0.5  # the part of all lessons from which on all of them are scored

_NOTHING: Final = np.zeros(0, np.int64)


def are_most(candidates: Indices, lessons: int) -> bool:
    """Whether to score all of so many lessons rather than the candidates alone."""
    return len(candidates) >= MOST * lessons


class Field:
    """The places of candidates, at least one for each user, sorted, among so many lessons.

    Several users have candidates that are most lessons (`are_most`).
    """

    def __init__(self, candidates: Sequence[Indices], lessons: int) -> None:
        self.candidates = candidates
        self.is_whole = are_most(candidates[0], lessons)
        self.size = lessons if self.is_whole else len(candidates[0])
        self.out = _NOTHING  # places of what is no candidate
        if self.is_whole:
            there = np.zeros((len(candidates), lessons), bool)
            for row, some in zip(there, candidates, strict=True):
                row[some] = True
            self.out = np.flatnonzero(~there)
        else:
            # All that have no place of their own share one, after the others.
            self._places = np.full(lessons, self.size)
            self._places[candidates[0]] = np.arange(self.size)

    def pick(self, figures: Array) -> Array:
        """The figures of all lessons as they stand in a row: [..., lessons] to [..., size]."""
        return figures if self.is_whole else figures.take(self.candidates[0], axis=-1)

    def places(self, lessons: Indices) -> Indices:
        """The place of each lesson in a row."""
        return lessons if self.is_whole else self._places.take(lessons)

    def sums(self, places: Indices, terms: Floats) -> Floats:
        """The sum of the terms of each candidate, by their places: [users, size].

        Places are counted through all rows: a row begins where the one before it ends.
        """
        shape = len(self.candidates), self.size
        sums = np.bincount(places, terms, shape[0] * shape[1] + 1)[:-1]
        sums[self.out] = 0.0
        return np.asarray(sums.reshape(shape))
