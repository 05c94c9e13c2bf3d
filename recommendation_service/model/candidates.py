"""Candidates: the lessons that are scored.

In a small catalogue all of them. In a large one those that users watched near the user's latest
lessons, those that are popular in any window or new, and those whose counts changed last.
"""

from math import nan
from typing import Final

import numpy as np

from recommendation_service.model.arrays import Floats, Indices
from recommendation_service.model.columns import Columns
from recommendation_service.model.cooccurrence import Cooccurrence
from recommendation_service.model.counts import Counts, Figure
from recommendation_service.model.features import UserContext

SMALL_CATALOGUE: Final = 2_000  # lessons; up to so many are all candidates
PER_SOURCE: Final = 100  # candidates from each count
MAX_POPULAR_AGE: Final = 3600.0  # seconds that popular candidates are kept


class Candidates:
    """Selects candidates. Popular ones are kept for a while, as finding them is slow."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._popular = np.zeros(0, np.int64)
        self._selected_at = nan  # never
        self._changes = 0  # of the counts, at that time

    def for_user(self, user: UserContext, unseen: Indices, limit: int) -> Indices:
        """Indices of candidates among the unseen lessons, sorted: at least `limit`, or all."""
        if len(unseen) <= max(SMALL_CATALOGUE, limit):
            return unseen
        chosen = np.zeros(len(self._counts), bool)
        chosen[self._popular_at(user.now)] = True
        chosen[list(self._counts.recently_changed)] = True
        if user.recent:
            near = self._near(user, unseen)
            columns = Columns([near], len(self._counts))
            for sums in Cooccurrence(self._counts, [user.recent], user.now, columns).sums():
                chosen[_largest(near, sums[0, columns.of(near)])] = True
        candidates = unseen[chosen[unseen]]
        return candidates if len(candidates) >= limit else unseen

    def _near(self, user: UserContext, unseen: Indices) -> Indices:
        """The unseen neighbours of the latest lessons, sorted: few, however many lessons there are.

        Continuations of a lesson are among its neighbours, so these have all the evidence.
        """
        is_near = np.zeros(len(self._counts), bool)
        for index in user.recent:
            is_near[self._counts.neighbours[index].keys] = True
        return unseen[is_near[unseen]]

    def _popular_at(self, now: float) -> Indices:
        counts = self._counts
        changed = counts.changes - self._changes > len(counts.recently_changed)
        if changed or not abs(now - self._selected_at) <= MAX_POPULAR_AGE:
            figures, lessons = counts.figures, counts.watched()
            sources = *counts.decayed(now), figures[Figure.INTERACTIONS], figures[Figure.FIRST]
            self._popular = np.concatenate([_largest(lessons, one[lessons]) for one in sources])
            self._selected_at, self._changes = now, counts.changes
        return self._popular


def _largest(lessons: Indices, values: Floats) -> Indices:
    """The lessons with the largest values above zero, PER_SOURCE at most."""
    some = np.flatnonzero(values > 0.0)
    if len(some) > PER_SOURCE:
        # The smallest of the negated values: many equal values take long the other way round.
        some = some[np.argpartition(-values[some], PER_SOURCE)[:PER_SOURCE]]
    return lessons[some]
