"""Crowd: what everybody met lately or ever, and how it speaks for lessons, whoever is asking.

It is the same for all users. So it is worked out for all lessons at once, and used again until
something changes or a second has passed. Only when few of many lessons are asked for, it is worked
out for these alone. What is returned is shared, and not to be written to.
"""

from math import nan
from typing import Final, NamedTuple

import numpy as np

from recommendation_service.model.arrays import Indices, Logs
from recommendation_service.model.columns import Field
from recommendation_service.model.counts import FIRST, MET, Counts
from recommendation_service.model.smoothing import SMOOTHING, smooth, take_logs

KEPT: Final = 1.0  # seconds that a look is used again
EVER: Final = 0.1  # meetings lately that all meetings ever are worth in the background
DAMPING: Final = 5.0  # meetings that are added to a lesson's own, so that rare ones do not lead
SHORT: Final = 600.0  # seconds of age

WEEK, START, AGE, BACKGROUND, RARENESS = range(2, 7)  # where these are


class Popularity(NamedTuple):
    """What speaks for lessons, whoever is asking."""

    shares: Logs  # by hour, day and week, and of what users start with, logarithms: [4, lessons]
    age: Logs  # the logarithm of the time since somebody met them first: [lessons]
    background: Logs  # shares that stand in where a count rests on little: [lessons]
    rareness: Logs  # what the figures about a lesson and others are multiplied by: [lessons]


class Crowd:
    """Looks at the counts for everybody."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self._all = np.zeros((RARENESS + 1, 0), np.float32)
        self._looked_at = nan  # never
        self._changes = 0  # counted when it looked

    def of(self, field: Field, now: float) -> Popularity:
        """What speaks for the lessons of a field at a time or up to a second before."""
        if field.is_whole:
            rows = self._look_at_all(now)
        else:
            rows = _look(self.counts, field.candidates[0], now)
        return Popularity(rows[:AGE], *rows[AGE:])

    def _look_at_all(self, now: float) -> Logs:
        counts = self.counts
        changed = counts.changes != self._changes or len(counts) != self._all.shape[1]
        if changed or not 0.0 <= now - self._looked_at < KEPT:
            self._all = _look(counts, np.arange(len(counts)), now)
            self._looked_at, self._changes = now, counts.changes
        return self._all


def _look(counts: Counts, lessons: Indices, now: float) -> Logs:
    """All of it, row by row: [7, lessons]."""
    rows = np.empty((RARENESS + 1, len(lessons)), np.float32)
    shares, age, background = rows[:AGE], rows[AGE], rows[BACKGROUND]
    for row, decayed in zip(shares, (*counts.popularity.values(), counts.starts), strict=True):
        row[:] = decayed.of(lessons, now)
    met = counts.figures[MET].take(lessons)
    background[:] = shares[WEEK] + (met * (EVER / max(met.sum(), 1.0)) + 1e-9)
    background /= background.sum()
    rows[RARENESS] = 1.0 / np.sqrt(met + DAMPING)
    own = np.ones(AGE, np.float32)
    own[START] -= SMOOTHING / (shares[START].sum() + SMOOTHING)
    smooth(shares, own, background)
    take_logs(shares)
    np.subtract(now + SHORT, counts.figures[FIRST].take(lessons), out=age)
    np.log(np.maximum(age / np.float32(SHORT), np.float32(1.0)), out=age)
    age *= np.float32(-0.3)
    return rows
