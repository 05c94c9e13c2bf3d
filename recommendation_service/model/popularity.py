"""Popularity features: how popular each lesson is among all users.

They are the same for every user. So they are computed for all lessons at once, and kept until the
counts change or a second has passed. If few lessons are needed, only their features are computed.
The arrays are shared: callers do not write to them.
"""

from math import nan
from typing import Final, NamedTuple

import numpy as np

from recommendation_service.model.arrays import Indices, Logs
from recommendation_service.model.columns import Columns
from recommendation_service.model.counts import Counts, Figure
from recommendation_service.model.smoothing import SMOOTHING, smooth, take_logs

SHARES: Final = ("popular_hour", "popular_day", "popular_week", "start")
WEEK, START = map(SHARES.index, ("popular_week", "start"))

MAX_CACHE_AGE: Final = 1.0  # seconds
ALL_TIME: Final = 0.1  # recent interactions that all interactions are worth in the background
DAMPING: Final = 5.0  # interactions that are added to a lesson's own, so that rare ones do not lead
AGE_UNIT: Final = 600.0  # seconds


class Popularity(NamedTuple):
    """Views of one array, a column for each lesson."""

    shares: Logs  # log shares, see SHARES: [4, lessons]
    age: Logs  # -0.3 * the logarithm of the time since the first interaction: [lessons]
    background: Logs  # shares that stand in where a count rests on little: [lessons]
    rareness: Logs  # factor of "together" counts, 1 / sqrt(interactions + DAMPING): [lessons]


class PopularityCache:
    """Computes popularity features from counts, and keeps those of all lessons."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self._all: Popularity | None = None
        self._computed_at = nan  # never
        self._state = (0, 0)  # changes and lessons of the counts, at that time

    def of(self, columns: Columns, now: float) -> Popularity:
        """The features of the lessons in the columns at a time, or up to a second before."""
        if columns.is_whole:
            return self._of_all(now)
        return _compute(self.counts, columns.candidates[0], now)

    def _of_all(self, now: float) -> Popularity:
        counts = self.counts
        state = counts.changes, len(counts)
        is_recent = 0.0 <= now - self._computed_at < MAX_CACHE_AGE
        if self._all is None or state != self._state or not is_recent:
            self._all = _compute(counts, np.arange(len(counts)), now)
            self._computed_at, self._state = now, state
        return self._all


def _compute(counts: Counts, lessons: Indices, now: float) -> Popularity:
    rows = np.empty((len(SHARES) + 3, len(lessons)), np.float32)
    features = Popularity(rows[: len(SHARES)], *rows[len(SHARES) :])
    shares, age, background, rareness = features
    for row, decayed in zip(shares, (*counts.popularity.values(), counts.starts), strict=True):
        row[:] = decayed.of(lessons, now)
    interactions = counts.figures[Figure.INTERACTIONS].take(lessons)
    background[:] = shares[WEEK] + (interactions * (ALL_TIME / max(interactions.sum(), 1.0)) + 1e-9)
    background /= background.sum()
    rareness[:] = 1.0 / np.sqrt(interactions + DAMPING)
    own = np.ones(len(shares), np.float32)
    own[START] -= SMOOTHING / (shares[START].sum() + SMOOTHING)
    smooth(shares, own, background)
    take_logs(shares)
    np.subtract(now + AGE_UNIT, counts.figures[Figure.FIRST].take(lessons), out=age)
    np.log(np.maximum(age / np.float32(AGE_UNIT), np.float32(1.0)), out=age)
    age *= np.float32(-0.3)
    return features
