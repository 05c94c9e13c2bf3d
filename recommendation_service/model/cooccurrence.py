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
from recommendation_service.model.columns import Field
from recommendation_service.model.counts import (
    ACROSS,
    IN_SESSION,
    MET,
    NO_LESSON,
    PATH_BITS,
    ROW_ACROSS,
    ROW_FORWARD,
    ROW_IN_SESSION,
    ROW_RECENT,
    SHARES,
    Counts,
    path_number,
    weight,
)
from recommendation_service.model.popularity import DAMPING
from recommendation_service.model.sparse_rows import Row, gather

NEAR: Final = 5  # latest lessons that "next" and "previous" look at
FAR: Final = 20  # latest lessons that "far" and "together" look at
NEXT, PREVIOUS, BEYOND, TOGETHER = range(4)  # the order of the factors
PRIORS: Final = (2.0, 1.0, 1.0)  # meetings that a share is worth to the next, more special one
PATH_LENGTH: Final = 3  # lessons in the number of a path

_NOWHERE: Final = np.zeros(0, np.int64), np.zeros(0)
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
    """What speaks for the candidates of users, at least one of whom met a lesson that is known.

    `recents` has the indices of the latest lessons of each user, latest first.
    """

    def __init__(
        self, counts: Counts, recents: Sequence[Sequence[int]], now: float, field: Field
    ) -> None:
        self._counts, self._recents, self._now, self._field = counts, recents, now, field
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
        self._after, self._steps, _ = self._gathered(counts.transitions, latest)

    def sums(self) -> list[Floats]:
        """The six sums: [users, size] of the field each; "together" is not divided yet."""
        places, figures, lengths = self._gathered(self._counts.neighbours, self._lessons)
        spread = factors_of(self._figures, self._ranks, self._now).repeat(lengths, axis=1)
        near = sum(lengths[: np.count_nonzero(self._ranks < NEAR)])
        recent, forward, backward = figures
        short, long = self._steps
        sums = self._field.sums
        return [
            sums(places[:near], spread[NEXT, :near] * recent[:near]),
            sums(places[:near], spread[PREVIOUS, :near] * backward[:near]),
            sums(self._after, short),
            sums(self._after, long),
            sums(places, spread[BEYOND] * forward),
            sums(places, spread[TOGETHER] * (forward + backward)),
        ]

    def masses(self) -> Floats:
        """How many meetings each sum rests on: [users, 6]."""
        parts = _PARTS.take(self._ranks, axis=1) * self._figures.take(_RESTS_ON, axis=0)
        parts[NEXT] /= weight(self._now)
        whose = np.arange(len(self._recents))[:, None] == self._users
        return np.asarray(whose @ parts.T)

    def path(self, background: Floats | Logs) -> Floats | Logs:
        """The share of each candidate among the ways to go on; together 1 for each user."""
        share = background
        for (places, times), prior in zip(self._ways(), PRIORS, strict=False):
            if len(places):
                went = self._field.sums(places, times)
                share = (went + prior * share) / (went.sum(axis=1, keepdims=True) + prior)
        return share

    def _gathered(
        self, table: Sequence[Row], lessons: Indices
    ) -> tuple[Indices, Floats, list[int]]:
        """The rows of the first of the lessons: places [n], figures [width, n], and lengths."""
        rows = [table[lesson] for lesson in lessons.tolist()]
        others, figures = gather(rows)
        lengths = [len(row) for row in rows]
        places = self._field.places(others)
        if len(self._recents) > 1:
            places = places + (self._users[: len(rows)] * self._field.size).repeat(lengths)
        return places, figures.T, lengths

    def _ways(self) -> Iterable[tuple[Indices, Floats]]:
        """Where people went on to, and how often: all, then those who came the same way."""
        yield self._after, self._steps[IN_SESSION] + self._steps[ACROSS]
        yield self._ended(1)
        yield self._ended(2)

    def _ended(self, lessons: int) -> tuple[Indices, Floats]:
        """Where those went on to who came by so many of the same lessons, and how often."""
        bits = PATH_BITS * (PATH_LENGTH - lessons)
        places, often = [], []
        for user, recent in enumerate(self._recents):
            before = recent[1 : lessons + 1]
            if len(before) == lessons and max(before) < NO_LESSON:
                first = path_number(*before, *(0,) * (PATH_LENGTH - lessons))
                numbers, times = self._counts.paths[recent[0]].between(first, first + 2**bits)
                if len(numbers):  # mostly nobody came the same way
                    ended = self._field.places(numbers & NO_LESSON)
                    places.append(ended + user * self._field.size)
                    often.append(times)
        return (np.concatenate(places), np.concatenate(often)) if places else _NOWHERE


def factors_of(figures: Floats, ranks: Indices | Sequence[int], now: float) -> Floats:
    """What the rows of latest lessons, of these figures, are multiplied by: [4, lessons]."""
    added = np.array([[weight(now)], [DAMPING], [SHARES], [DAMPING]])
    divisors = figures.take(_DIVIDED_BY, axis=0) + added
    return np.asarray(_FACTORS.take(ranks, axis=1) / divisors)
