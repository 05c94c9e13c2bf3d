"""Candidates: the lessons that are scored.

All of them while they are few. Of a large catalogue those that people met near the user's latest
lessons, those that are popular in each window or new, and those that somebody met just now.
"""

from math import nan
from typing import Final

import numpy as np

from recommendation_service.model.arrays import Floats, Indices
from recommendation_service.model.columns import Field
from recommendation_service.model.cooccurrence import Evidence
from recommendation_service.model.counts import FIRST, MET, Counts
from recommendation_service.model.features import Situation

FEW: Final = 2_000  # lessons; up to here all are candidates
PER_SOURCE: Final = 100  # lessons that each count puts forward
LOOKS: Final = 3600.0  # seconds between two looks for what is popular, at most


class Candidates:
    """Finds candidates. What is popular is looked up now and then, as that takes a while."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._popular = np.zeros(0, np.int64)
        self._looked_at = nan  # never
        self._changes = 0  # counted when it looked

    def for_user(self, user: Situation, unseen: Indices, limit: int) -> Indices:
        """Indices of some of the unseen lessons, sorted: at least `limit`, if there are."""
        if len(unseen) <= max(FEW, limit):
            return unseen
        chosen = np.zeros(len(self._counts), bool)
        chosen[self._popular_at(user.now)] = True
        chosen[list(self._counts.just_met)] = True
        if user.recent:
            near = self._near(user, unseen)
            field = Field([near], len(self._counts))
            for sums in Evidence(self._counts, [user.recent], user.now, field).sums():
                chosen[_best(near, sums[0, field.places(near)])] = True
        candidates = unseen[chosen[unseen]]
        return candidates if len(candidates) >= limit else unseen

    def _near(self, user: Situation, unseen: Indices) -> Indices:
        """The unseen lessons that anything speaks for, sorted: few, however many lessons there are.

        Whoever went on right after a lesson is among its neighbours, so these are all.
        """
        there = np.zeros(len(self._counts), bool)
        for index in user.recent:
            there[self._counts.neighbours[index].others] = True
        return unseen[there[unseen]]

    def _popular_at(self, now: float) -> Indices:
        counts = self._counts
        changed = counts.changes - self._changes > len(counts.just_met)
        if changed or not abs(now - self._looked_at) <= LOOKS:
            sources = (*counts.decayed(now), counts.figures[MET], counts.figures[FIRST])
            lessons = counts.without(())
            self._popular = np.concatenate([_best(lessons, one[lessons]) for one in sources])
            self._looked_at, self._changes = now, counts.changes
        return self._popular


def _best(lessons: Indices, values: Floats) -> Indices:
    """The lessons with the largest values above zero, PER_SOURCE at most."""
    some = np.flatnonzero(values > 0.0)
    if len(some) > PER_SOURCE:
        # Of the negated values the smallest: the other way round many equal values take long.
        some = some[np.argpartition(-values[some], PER_SOURCE)[:PER_SOURCE]]
    return lessons[some]
