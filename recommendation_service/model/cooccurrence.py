"""Co-occurrence features: how often users went on from a user's lessons to each other lesson.

Sums over the user's latest lessons, each lesson at its rank k, the latest at 1:

    next         1/k * RECENT / (row sum + weight of an interaction now), over the latest 5
    previous     1/k * BACKWARD / (interactions + 5), over the latest 5
    in_session   transitions from the latest lesson after a short pause
    new_session  transitions from the latest lesson after a long pause
    far          FORWARD / (row sum + 1), over the latest 20 but for the first
    together     1/sqrt(k) * (FORWARD + BACKWARD) / (interactions + 5), over the latest 20, divided
                 by the square root of the candidate's interactions + 5

The support of a sum is the number of interactions it rests on. `path` is the share of a candidate
in the transitions from the latest lesson, among users who came to it by the same two lessons as the
user; if they are few, by the same one; if these are few as well, among all users (interpolated
back-off as in n-gram language models, Jelinek and Mercer, 1980).
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from recommendation_service.model.arrays import Floats, Indices, Logs
from recommendation_service.model.columns import Columns
from recommendation_service.model.counts import (
    LAG_UNITS,
    NO_LESSON,
    PATH_BITS,
    Counts,
    Figure,
    Transition,
    path_key,
    time_weight,
)
from recommendation_service.model.popularity import DAMPING
from recommendation_service.model.sparse_rows import SparseRow, gather

SUMS: Final = ("next", "previous", "in_session", "new_session", "far", "together")
NEAR_LESSONS: Final = 5  # latest lessons that "next" and "previous" look at
FAR_LESSONS: Final = 20  # latest lessons that "far" and "together" look at
PRIORS: Final = (2.0, 1.0, 1.0)  # interactions that a share is worth to the next, more special one
PATH_LENGTH: Final = 3  # lessons in the key of a path


class Factor:
    """The rows of `factors_of`."""

    NEXT, PREVIOUS, FAR, TOGETHER = range(4)


_NO_CONTINUATIONS: Final = np.zeros(0, np.int64), np.zeros(0)
_RANKS: Final = np.arange(1, FAR_LESSONS + 1)
_NEAR: Final = (_RANKS <= NEAR_LESSONS) / _RANKS
_LATEST, _EARLIER = _RANKS == 1, _RANKS > 1
# Each factor by rank, and the figure of a lesson that it is divided by.
_FACTORS: Final = np.stack([_NEAR, _NEAR, _EARLIER, 1.0 / np.sqrt(_RANKS)])
_DIVISORS: Final = [Figure.RECENT, Figure.INTERACTIONS, Figure.FORWARD, Figure.INTERACTIONS]
# The support of each sum: a figure of each latest lesson, and its weight by rank.
_SUPPORTS: Final = [*_DIVISORS[:2], Figure.IN_SESSION, Figure.NEW_SESSION, *_DIVISORS[2:]]
_EACH: Final = np.full(FAR_LESSONS, 1.0 / FAR_LESSONS)
_SUPPORT_WEIGHTS: Final = np.stack(
    [_NEAR, _NEAR, _LATEST, _LATEST, _EARLIER / (LAG_UNITS * FAR_LESSONS), _EACH]
)


class Cooccurrence:
    """The evidence from latest lessons of users, at least one of whom has a known lesson.

    `recents` has the indices of the latest lessons of each user, latest first.
    """

    def __init__(
        self, counts: Counts, recents: Sequence[Sequence[int]], now: float, columns: Columns
    ) -> None:
        self._counts, self._recents, self._now, self._columns = counts, recents, now, columns
        # The latest lesson of each user, then the one before it of each, and so on.
        ranked = [
            (recent[rank], user, rank)
            for rank in range(max(map(len, recents)))
            for user, recent in enumerate(recents)
            if rank < len(recent)
        ]
        self._lessons, self._users, self._ranks = np.array(ranked).T
        self._figures = counts.figures.take(self._lessons, axis=1)
        latest = self._lessons[self._ranks == 0]
        self._next_columns, self._next_counts, _ = self._gather(counts.transitions, latest)

    def sums(self) -> list[Floats]:
        """The SUMS, each [users, size] of the columns; "together" is not divided yet."""
        columns, values, lengths = self._gather(self._counts.neighbours, self._lessons)
        factors = factors_of(self._figures, self._ranks, self._now).repeat(lengths, axis=1)
        near = sum(lengths[: np.count_nonzero(self._ranks < NEAR_LESSONS)])
        recent, forward, backward = values
        in_session, new_session = self._next_counts
        sums = self._columns.sums
        return [
            sums(columns[:near], factors[Factor.NEXT, :near] * recent[:near]),
            sums(columns[:near], factors[Factor.PREVIOUS, :near] * backward[:near]),
            sums(self._next_columns, in_session),
            sums(self._next_columns, new_session),
            sums(columns, factors[Factor.FAR] * forward),
            sums(columns, factors[Factor.TOGETHER] * (forward + backward)),
        ]

    def support(self) -> Floats:
        """How many interactions each sum rests on: [users, 6]."""
        parts = _SUPPORT_WEIGHTS.take(self._ranks, axis=1) * self._figures.take(_SUPPORTS, axis=0)
        parts[Factor.NEXT] /= time_weight(self._now)
        is_of_user = np.arange(len(self._recents))[:, None] == self._users
        return np.asarray(is_of_user @ parts.T)

    def path(self, background: Floats | Logs) -> Floats | Logs:
        """The share of each candidate in the continuations; together 1 for each user."""
        shares = background
        for (columns, times), prior in zip(self._continuations(), PRIORS, strict=False):
            if len(columns):
                sums = self._columns.sums(columns, times)
                shares = (sums + prior * shares) / (sums.sum(axis=1, keepdims=True) + prior)
        return shares

    def _gather(
        self, table: Sequence[SparseRow], lessons: Indices
    ) -> tuple[Indices, Floats, list[int]]:
        """The rows of the first lessons: columns [n], values [width, n], and lengths of rows."""
        rows = [table[lesson] for lesson in lessons.tolist()]
        others, values = gather(rows)
        lengths = [len(row) for row in rows]
        columns = self._columns.of(others)
        if len(self._recents) > 1:
            columns = columns + (self._users[: len(rows)] * self._columns.size).repeat(lengths)
        return columns, values.T, lengths

    def _continuations(self) -> Iterable[tuple[Indices, Floats]]:
        """Columns and times of continuations: of all users, then of those on the same path."""
        by_pause = self._next_counts
        yield self._next_columns, by_pause[Transition.IN_SESSION] + by_pause[Transition.NEW_SESSION]
        yield self._continuations_after(1)
        yield self._continuations_after(2)

    def _continuations_after(self, lessons: int) -> tuple[Indices, Floats]:
        """The same, of users with so many equal lessons before the latest one."""
        bits = PATH_BITS * (PATH_LENGTH - lessons)
        columns, counts = [], []
        for user, recent in enumerate(self._recents):
            before = recent[1 : lessons + 1]
            if len(before) == lessons and max(before) < NO_LESSON:
                first = path_key(*before, *(0,) * (PATH_LENGTH - lessons))
                keys, times = self._counts.paths[recent[0]].between(first, first + 2**bits)
                if len(keys):  # mostly nobody took the same path
                    own_columns = self._columns.of(keys & NO_LESSON)
                    columns.append(own_columns + user * self._columns.size)
                    counts.append(times)
        return (np.concatenate(columns), np.concatenate(counts)) if columns else _NO_CONTINUATIONS


def factors_of(figures: Floats, ranks: Indices | Sequence[int], now: float) -> Floats:
    """The factors of the rows of latest lessons with these figures: [4, lessons]."""
    added = np.array([[time_weight(now)], [DAMPING], [LAG_UNITS], [DAMPING]])
    divisors = figures.take(_DIVISORS, axis=0) + added
    return np.asarray(_FACTORS.take(ranks, axis=1) / divisors)
