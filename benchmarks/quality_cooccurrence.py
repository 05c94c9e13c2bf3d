"""Quality co-occurrence: dense counts of users by lesson and by pair, and ranking of scores."""

from collections import defaultdict
from typing import Final

import numpy as np

from benchmarks.quality_measure import LIMIT
from benchmarks.quality_stream import Watch
from recommendation_service.model.arrays import Floats

LATEST: Final = 20  # lessons of a user that neighbours are looked up for


class Cooccurrences:
    """How many users watched each lesson, and each pair at most `window` lessons apart."""

    def __init__(self, window: int | None) -> None:
        self.histories: defaultdict[int, list[int]] = defaultdict(list)  # indices, oldest first
        self.lessons: list[int] = []  # by index
        self._index: dict[int, int] = {}
        self._window = window
        self._met = np.zeros(64)
        self._pairs = np.zeros((64, 64)) if window != 0 else np.zeros((0, 0))

    def __len__(self) -> int:
        return len(self.lessons)

    @property
    def met(self) -> Floats:
        """Users by lesson."""
        return self._met[: len(self)]

    @property
    def pairs(self) -> Floats:
        """Users by lesson and other lesson; the diagonal is zero."""
        return self._pairs[: len(self), : len(self)]

    def learn(self, watch: Watch) -> int:
        """Count an interaction with those before it, and return the lesson's index."""
        index = self._index.setdefault(watch.lesson, len(self))
        if index == len(self):
            self.lessons.append(watch.lesson)
            self._grow()
        history = self.histories[watch.user]
        if self._window != 0:
            before = history if self._window is None else history[-self._window :]
            self._pairs[before, index] += 1
            self._pairs[index, before] += 1
        self._met[index] += 1
        history.append(index)
        return index

    def _grow(self) -> None:
        if len(self) > len(self._met):
            more = len(self._met)
            self._met = np.pad(self._met, (0, more))
            if self._window != 0:
                self._pairs = np.pad(self._pairs, (0, more))


def nearest(seen: Cooccurrences, user: int, factors: Floats) -> Floats:
    """Pairs with the user's latest lessons, each by 1/rank and its factor: [lessons]."""
    latest = seen.histories[user][: -LATEST - 1 : -1]
    shares = factors[latest] / np.arange(1, len(latest) + 1)
    return np.asarray(shares @ seen.pairs[latest])


def best(seen: Cooccurrences, user: int, scores: Floats) -> list[int]:
    """The best lessons that a user has not watched; ties go to the lessons of most users.

    `scores` may be of the first lessons only: the others come last.
    """
    known = np.full(len(seen), -np.inf)
    known[: len(scores)] = scores
    order = np.lexsort((np.array(seen.lessons), -seen.met, -known)).tolist()
    met = set(seen.histories[user])
    chosen: list[int] = []
    for index in order:
        if index not in met:
            chosen.append(seen.lessons[index])
            if len(chosen) == LIMIT:
                break
    return chosen
