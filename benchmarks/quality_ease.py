"""Quality EASE: a linear model of each lesson by all others, solved in one step (Steck 2019).

    B = -P / diag(P), diagonal 0,    P = inverse of (pairs + lambda * identity)

It is solved again after every 300 interactions, when it is asked. A user's history is always fresh.
"""

from typing import Final

import numpy as np

from benchmarks.quality_cooccurrence import LATEST, Cooccurrences, best
from benchmarks.quality_stream import Watch
from recommendation_service.model.arrays import Floats

SOLVE_INTERVAL: Final = 300  # interactions
REGULARIZATION: Final = 100.0


class Ease:
    """EASE over the user's latest lessons, each by 1/rank."""

    def __init__(self) -> None:
        self._seen = Cooccurrences(window=None)
        self._waiting = SOLVE_INTERVAL  # interactions since it was solved
        self._model = np.zeros((0, 0))

    def learn(self, watch: Watch) -> None:
        """Count the interaction with all before it."""
        self._seen.learn(watch)
        self._waiting += 1

    def recommend(self, user: int, now: float) -> list[int]:  # noqa: ARG002
        """The best scores of the linear model for the latest lessons."""
        if self._waiting >= SOLVE_INTERVAL:
            self._model, self._waiting = solved(self._seen), 0
        known = len(self._model)
        history = [index for index in self._seen.histories[user] if index < known]
        latest = history[: -LATEST - 1 : -1]
        scores = (1.0 / np.arange(1, len(latest) + 1)) @ self._model[latest]
        return best(self._seen, user, scores)


def solved(seen: Cooccurrences) -> Floats:
    """The weight of each lesson for each other lesson."""
    gram = seen.pairs + np.diag(seen.met + REGULARIZATION)
    inverse = np.linalg.inv(gram)
    model = inverse / -np.diag(inverse)
    np.fill_diagonal(model, 0.0)
    return np.asarray(model)
