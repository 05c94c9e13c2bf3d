"""Evidence: how often people went on from the lessons that a user met to each other lesson.

Sums over the user's latest lessons, each lesson at its rank k, the latest at 1:

    next         1/k * RECENT / (row sum + weight of a meeting now), over the latest 5
    previous     1/k * BACKWARD / (meetings + 5), over the latest 5
    in_session   transitions from the latest lesson after a short pause
    new_session  transitions from the latest lesson after a long pause
    far          FORWARD / (row sum + 1), over the latest 20 but for the first
    together     1/sqrt(k) * (FORWARD + BACKWARD) / (meetings + 5), over the latest 20, divided by
                 the square root of the candidate's meetings + 5

The mass of a sum is the number of meetings it rests on. `path` is the share of those who went on
from the latest lesson, among those who came to it by the same two lessons as the user; where they
are few, by the same one; where they are few as well, of all (interpolated back-off, as in n-gram
language models).
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from recommendation_service.model.arrays import Floats, Indices, Logs
from recommendation_service.model.counts import (
    MET,
    NO_LESSON,
    ROW_ACROSS,
    ROW_FORWARD,
    ROW_IN_SESSION,
    ROW_RECENT,
    SHARES,
    Counts,
    path_number,
    weight,
)
from recommendation_service.model.crowd import DAMPING
from recommendation_service.model.rows import gather

NEAR: Final = 5  # latest lessons that "next" and "previous" look at
FAR: Final = 20  # latest lessons that "far" and "together" look at
NEXT, PREVIOUS, BEYOND, TOGETHER = range(4)  # the order of the factors
PRIORS: Final = (2.0, 1.0, 1.0)  # meetings that a share is worth to the next, more special one

_RANKS: Final = np.arange(1, FAR + 1)
_NEAR: Final = (_RANKS <= NEAR) / _RANKS
_LATEST, _EARLIER = _RANKS == 1, _RANKS > 1
# Each factor by rank, and which figure of a lesson it is divided by.
_FACTORS: Final = np.stack([_NEAR, _NEAR, _EARLIER, 1.0 / np.sqrt(_RANKS)])
_DIVIDED_BY: Final = [ROW_RECENT, MET, ROW_FORWARD, MET]
# What each sum rests on: which figure of a lesson, by rank.
_RESTS_ON: Final = [ROW_RECENT, MET, ROW_IN_SESSION, ROW_ACROSS, ROW_FORWARD, MET]
_PARTS: Final = np.stack(
    [_NEAR, _NEAR, _LATEST, _LATEST, _EARLIER / (SHARES * FAR), np.full(FAR, 1.0 / FAR)]
)


class Evidence:
    """What speaks for candidates, from a user's latest lessons: indices, latest first, not none."""

    def __init__(
        self, counts: Counts, recent: Sequence[int], now: float, candidates: Indices
    ) -> None:
        self._counts, self._recent, self._now = counts, recent, now
        self._size = len(candidates)
        # Those that are no candidates share one place, after all others.
        self._places = np.full(len(counts), self._size)
        self._places[candidates] = np.arange(self._size)
        others, self._steps = gather([counts.transitions[recent[0]]])
        self._after = self._places.take(others)
        self._figures = counts.figures.take(recent, axis=1)

    def sums(self) -> list[Floats]:
        """The six sums: [candidates] each; "together" is not divided yet."""
        rows = [self._counts.neighbours[index] for index in self._recent]
        others, figures = gather(rows)
        lengths = [len(row) for row in rows]
        near = sum(lengths[:NEAR])
        places, (recent, forward, backward) = self._places.take(others), figures.T
        spread = factors_of(self._figures, self._now).repeat(lengths, axis=1)
        short, long = self._steps.T
        return [
            self._sum(places[:near], spread[NEXT, :near] * recent[:near]),
            self._sum(places[:near], spread[PREVIOUS, :near] * backward[:near]),
            self._sum(self._after, short),
            self._sum(self._after, long),
            self._sum(places, spread[BEYOND] * forward),
            self._sum(places, spread[TOGETHER] * (forward + backward)),
        ]

    def masses(self) -> Floats:
        """How many meetings each sum rests on: [6]."""
        figures = self._figures.take(_RESTS_ON, axis=0)
        masses = (_PARTS[:, : len(self._recent)] * figures).sum(axis=1)
        masses[NEXT] /= weight(self._now)
        return np.asarray(masses)

    def path(self, background: Floats | Logs) -> Floats | Logs:
        """The share of each candidate among the ways to go on: [candidates], together 1."""
        share = background
        for (places, times), prior in zip(self._ways(), PRIORS, strict=False):
            total = times[places < self._size].sum()
            if total:
                share = (self._sum(places, times) + prior * share) / (total + prior)
        return share

    def _ways(self) -> Iterable[tuple[Indices, Floats]]:
        """Where people went on to, and how often: all, then those who came the same way."""
        second, third = (*self._recent[1:3], NO_LESSON, NO_LESSON)[:2]
        yield self._after, self._steps.sum(axis=1)
        if second < NO_LESSON:
            yield self._ended(path_number(second, 0, 0), path_number(second + 1, 0, 0))
        if max(second, third) < NO_LESSON:
            yield self._ended(path_number(second, third, 0), path_number(second, third + 1, 0))

    def _ended(self, low: int, high: int) -> tuple[Indices, Floats]:
        """Where paths, numbered from `low` to below `high`, ended, and how often."""
        numbers, times = self._counts.paths[self._recent[0]].between(low, high)
        return self._places.take(numbers & NO_LESSON), times

    def _sum(self, places: Indices, terms: Floats) -> Floats:
        return np.asarray(np.bincount(places, terms, self._size + 1)[:-1])


def factors_of(figures: Floats, now: float) -> Floats:
    """What the rows of the latest lessons, of these figures, are multiplied by: [4, recent]."""
    added = np.array([[weight(now)], [DAMPING], [SHARES], [DAMPING]])
    divisors = figures.take(_DIVIDED_BY, axis=0) + added
    return np.asarray(_FACTORS[:, : figures.shape[1]] / divisors)
