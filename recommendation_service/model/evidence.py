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
    BACKWARD,
    FORWARD,
    MET,
    NO_LESSON,
    RECENT,
    ROW_ACROSS,
    ROW_FORWARD,
    ROW_IN_SESSION,
    ROW_RECENT,
    SHARES,
    Counts,
    path_number,
    weight,
)
from recommendation_service.model.rows import gather

NEAR: Final = 5  # latest lessons that "next" and "previous" look at
FAR: Final = 20  # latest lessons that "far" and "together" look at
NEXT, PREVIOUS, BEYOND, TOGETHER = range(4)  # the order of the factors
DAMPING: Final = 5.0  # meetings that are added to a lesson's own, so that rare ones do not lead
PRIORS: Final = (2.0, 1.0, 1.0)  # meetings that a share is worth to the next, more special one


class Evidence:
    """What speaks for candidates, from a user's latest lessons: indices, latest first, not none."""

    def __init__(
        self, counts: Counts, recent: Sequence[int], now: float, candidates: Indices
    ) -> None:
        self._counts, self._recent, self._now, self._candidates = counts, recent, now, candidates
        # Those that are no candidates share one place, after all others.
        self._places = np.full(len(counts), len(candidates))
        self._places[candidates] = np.arange(len(candidates))
        self._steps = gather([counts.transitions[recent[0]]])
        self._figures = counts.figures[:, list(recent)]

    def sums(self) -> list[Floats]:
        """The six sums: [candidates] each."""
        rows = [self._counts.neighbours[index] for index in self._recent]
        others, figures = gather(rows)
        lengths = np.array([len(row) for row in rows])
        near = int(lengths[:NEAR].sum())
        places, terms = self._places.take(others), figures.T
        factors = factors_of(self._figures, self._now)
        spread = [np.repeat(factor, lengths) for factor in factors]
        after, (short, long) = self._places.take(self._steps[0]), self._steps[1].T
        met = self._counts.figures[MET].take(self._candidates)
        both = terms[FORWARD] + terms[BACKWARD]
        return [
            self._sum(places[:near], (spread[NEXT] * terms[RECENT])[:near]),
            self._sum(places[:near], (spread[PREVIOUS] * terms[BACKWARD])[:near]),
            self._sum(after, short),
            self._sum(after, long),
            self._sum(places, spread[BEYOND] * terms[FORWARD]),
            self._sum(places, spread[TOGETHER] * both) / np.sqrt(met + DAMPING),
        ]

    def masses(self) -> Floats:
        """How many meetings each sum rests on: [6]."""
        met, recent, forward = self._figures[[MET, ROW_RECENT, ROW_FORWARD]]
        near = 1.0 / np.arange(1, len(met[:NEAR]) + 1)
        return np.array(
            [
                near @ recent[:NEAR] / weight(self._now),
                near @ met[:NEAR],
                self._figures[ROW_IN_SESSION, 0],
                self._figures[ROW_ACROSS, 0],
                forward[1:].sum() / SHARES / FAR,
                met.sum() / FAR,
            ]
        )

    def path(self, background: Floats | Logs) -> Floats | Logs:
        """The share of each candidate among the ways to go on: [candidates], together 1."""
        share = background
        for (others, times), prior in zip(self._ways(), PRIORS, strict=False):
            sums = self._sum(self._places.take(others), times)
            share = (sums + prior * share) / (sums.sum() + prior)
        return share

    def _ways(self) -> Iterable[tuple[Indices, Floats]]:
        """Lessons that people went on to, and how often: all, then those who came the same way."""
        second, third = (*self._recent[1:3], NO_LESSON, NO_LESSON)[:2]
        yield self._steps[0], self._steps[1].sum(axis=1)
        if second < NO_LESSON:
            yield self._ended(path_number(second, 0, 0), path_number(second + 1, 0, 0))
        if max(second, third) < NO_LESSON:
            yield self._ended(path_number(second, third, 0), path_number(second, third + 1, 0))

    def _ended(self, low: int, high: int) -> tuple[Indices, Floats]:
        """Where paths, numbered from `low` to below `high`, ended, and how often."""
        numbers, times = self._counts.paths[self._recent[0]].between(low, high)
        return numbers & NO_LESSON, times

    def _sum(self, places: Indices, terms: Floats) -> Floats:
        size = len(self._candidates) + 1
        return np.bincount(places, terms, size)[:-1].astype(float, copy=False)


def factors_of(figures: Floats, now: float) -> Floats:
    """What the rows of the latest lessons, of these figures, are multiplied by: [4, recent]."""
    ranks = np.arange(1, figures.shape[1] + 1)
    near = (ranks <= NEAR) / ranks
    damped = 1.0 / (figures[MET] + DAMPING)
    factors = np.empty((4, len(ranks)))
    factors[NEXT] = near / (figures[ROW_RECENT] + weight(now))
    factors[PREVIOUS] = near * damped
    factors[BEYOND] = (ranks > 1) / (figures[ROW_FORWARD] + SHARES)
    factors[TOGETHER] = damped / np.sqrt(ranks)
    return factors
