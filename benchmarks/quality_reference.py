"""Quality reference: the log-linear formulas behind the product's model, in dense arrays.

Twelve features of each lesson the user has not watched, combined by weights that are learned
online: one AdaGrad step of the softmax log-likelihood of the lesson that really came. Every table
is a dense array over all lessons. That is quick for a few thousand of them, and easy to check.
"""

from bisect import bisect_right
from collections import defaultdict
from math import log, sqrt
from typing import Final, NamedTuple

import numpy as np

from benchmarks.quality_measure import LIMIT
from benchmarks.quality_stream import Watch
from recommendation_service.model.arrays import Floats, Indices

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
HALF_LIVES: Final = np.array([[HOUR], [DAY], [7 * DAY]])  # of popularity
RECENT_HALF_LIFE: Final = 60 * DAY
SMOOTHING: Final = 3.0
FLOOR: Final = 1e-3
RATE: Final = 0.1
FEATURES: Final = 12
PAUSES: Final = (120.0, 900.0, 6 * HOUR, 2 * DAY, 14 * DAY)  # limits of buckets
LENGTHS: Final = (2, 4, 9, 31)  # where the next bucket begins
RECENT, ALL, SHORT, LONG = range(4)  # kinds of pairs
MET, FIRST, LAST = range(3)  # kinds of figures


class Known(NamedTuple):
    """The history of a user: indices of lessons and times, oldest first."""

    lessons: list[int]
    times: list[float]


class Seen(NamedTuple):
    """Candidates with their features and weights."""

    candidates: Indices
    logs: Floats  # [features, candidates]
    rows: list[int]  # of the weights


class Reference:
    """The log-linear model in dense arrays."""

    def __init__(self) -> None:
        self._users: defaultdict[int, Known] = defaultdict(lambda: Known([], []))
        self._index: dict[int, int] = {}
        self._lessons: list[int] = []
        self._pairs = np.zeros((4, 64, 64))  # [kind, before, after]
        self._sums = np.zeros((4, 64))  # of the pairs, by the lesson before
        self._figures = np.zeros((3, 64))
        self._popular = np.zeros((3, 64))
        self._popular_at = self._start = 0.0
        rows = 1 + len(PAUSES) + 1 + len(LENGTHS) + 1
        self._weights, self._squares = np.zeros((rows, FEATURES)), np.full((rows, FEATURES), 0.01)
        self._weights[0] = 1.0 / FEATURES

    def recommend(self, user: int, now: float) -> list[int]:
        """The lessons with the largest sums of weighted features."""
        if not self._lessons:
            return []
        seen = self._look(self._users[user], now)
        scores = self._weights[seen.rows].sum(axis=0) @ seen.logs
        order = np.argsort(-scores, kind="stable")[:LIMIT]
        return [self._lessons[index] for index in seen.candidates[order]]

    def learn(self, watch: Watch) -> None:
        """Learn the weights, then the counts."""
        if not self._lessons:
            self._start = self._popular_at = watch.at
        user, index = self._users[watch.user], self._index.get(watch.lesson)
        if user.lessons and index is not None:
            self._learn_weights(user, index, watch.at)
        if index is None:
            index = self._add_lesson(watch)
        self._count(user, index, watch.at)
        user.lessons.append(index)
        user.times.append(watch.at)

    def _learn_weights(self, user: Known, came: int, now: float) -> None:
        seen = self._look(user, now)
        scores = self._weights[seen.rows].sum(axis=0) @ seen.logs
        chances = np.exp(scores - scores.max())
        chances /= chances.sum()
        place = np.searchsorted(seen.candidates, came)
        gradient = seen.logs[:, place] - seen.logs @ chances
        self._squares[seen.rows] += gradient * gradient
        self._weights[seen.rows] += RATE * gradient / np.sqrt(self._squares[seen.rows])

    def _add_lesson(self, watch: Watch) -> int:
        index = self._index[watch.lesson] = len(self._lessons)
        self._lessons.append(watch.lesson)
        if index == self._figures.shape[1]:
            flat, square = ((0, 0), (0, index)), ((0, 0), (0, index), (0, index))
            self._pairs = np.pad(self._pairs, square)
            self._sums, self._figures = np.pad(self._sums, flat), np.pad(self._figures, flat)
            self._popular = np.pad(self._popular, flat)
        self._figures[FIRST, index] = watch.at
        return index

    def _count(self, user: Known, index: int, at: float) -> None:
        before = np.array(user.lessons[:-11:-1], np.int64)
        shares = 1.0 / np.arange(1, len(before) + 1)
        weighted = {ALL: shares, RECENT: shares * self._recent_weight(at)}
        if user.lessons:
            kind = SHORT if at - user.times[-1] < HOUR else LONG
            weighted[kind] = np.eye(1, len(before))[0]
        for kind, values in weighted.items():
            self._pairs[kind, before, index] += values
            self._sums[kind, before] += values
        self._popular *= 2.0 ** ((self._popular_at - at) / HALF_LIVES)
        self._popular_at = at
        self._popular[:, index] += 1.0
        self._figures[MET, index] += 1.0
        self._figures[LAST, index] = at

    def _recent_weight(self, at: float) -> float:
        weight = float(2.0 ** ((at - self._start) / RECENT_HALF_LIFE))
        if weight > 1e60:
            self._pairs[RECENT] /= weight
            self._sums[RECENT] /= weight
            self._start, weight = at, 1.0
        return weight

    def _look(self, user: Known, now: float) -> Seen:
        free = np.ones(len(self._lessons), bool)
        free[user.lessons] = False
        candidates = np.flatnonzero(free)
        logs = np.empty((FEATURES, len(candidates)))
        popular = self._popular[:, candidates] * 2.0 ** ((self._popular_at - now) / HALF_LIVES)
        met, first, last = self._figures[:, candidates]
        background = popular[2] + 0.1 * met / max(self._figures[MET].sum(), 1.0) + 1e-9
        background /= background.sum()
        for row, sums in zip(logs, (*popular, met), strict=False):
            row[:] = _log_share(sums, None, background)
        logs[4] = -0.3 * np.log1p(np.maximum(now - first, 0.0) / 600.0)
        logs[5] = -0.3 * np.log1p(np.maximum(now - last, 0.0) / 60.0)
        logs[6] = _passed(user.times, first)
        if user.lessons:
            self._follow(user, now, candidates, logs[7:], background)
        else:
            logs[7:] = np.log(background + FLOOR) - log(FLOOR)
        pause = bisect_right(PAUSES, now - user.times[-1]) if user.times else len(PAUSES)
        length = bisect_right(LENGTHS, len(user.lessons))
        return Seen(candidates, logs, [0, 1 + pause, 2 + len(PAUSES) + length])

    def _follow(
        self, user: Known, now: float, candidates: Indices, logs: Floats, background: Floats
    ) -> None:
        """Write the features of lessons that followed the user's latest ones."""
        recent = np.array(user.lessons[:-21:-1])
        near, far = recent[:5], recent[1:]
        ranks = 1.0 / np.arange(1, len(near) + 1)
        weight = 2.0 ** ((now - self._start) / RECENT_HALF_LIFE)
        met, sums = self._figures[MET], self._sums
        after = self._pairs[:, recent][:, :, candidates]
        before = self._pairs[ALL, :, near][:, candidates]
        found = (
            (ranks / (sums[RECENT, near] + weight)) @ after[RECENT, : len(near)],
            (ranks / (met[near] + 5.0)) @ before,
            after[SHORT, 0],
            after[LONG, 0],
            (1.0 / (sums[ALL, far] + 1.0)) @ after[ALL, 1:],
        )
        masses = (
            ranks @ sums[RECENT, near] / weight,
            ranks @ met[near],
            sums[SHORT, recent[0]],
            sums[LONG, recent[0]],
            sums[ALL, far].sum() / 20.0,
        )
        for row, figures, mass in zip(logs, found, masses, strict=True):
            row[:] = _log_share(figures, mass, background)


def _log_share(sums: Floats, mass: float | None, background: Floats) -> Floats:
    """The logarithm of a share among the candidates, smoothed where there is little evidence."""
    total = sums.sum()
    own = 0.0 if total <= 0 else 1.0 if mass is None else mass / (mass + SMOOTHING)
    share = sums * (own / total if own else 0.0) + (1.0 - own) * background
    return np.asarray(np.log(share + FLOOR) - log(FLOOR))


def _passed(times: list[float], first: Floats) -> Floats:
    """How often the user was active since a lesson appeared, and passed it by."""
    passed = np.zeros(len(first))
    for rank, time in enumerate(times[:-9:-1], 1):
        passed -= (time > first) * (0.5 / sqrt(rank))
    return passed
