"""Quality EASE: a linear model of each lesson by all others, solved in one step (Steck 2019).

    B = -P / diag(P), diagonal 0,    P = inverse of (pairs + lambda * identity)

It is solved anew after every 300 meetings, when it is asked. A user's history is always fresh.
"""

from typing import Final

import numpy as np

from benchmarks.quality_stream import Watch
from benchmarks.quality_together import LATEST, Together, best
from recommendation_service.model.arrays import Floats

EVERY: Final = 300  # meetings
REGULARIZATION: Final = 100.0


class Ease:
    """EASE over the user's latest lessons, each by 1/rank."""

    def __init__(self) -> None:
        self._seen = Together(window=None)
        self._waiting = EVERY  # meetings that it was not solved with
        self._model = np.zeros((0, 0))

    def learn(self, watch: Watch) -> None:
        """Count the meeting with all before it."""
        self._seen.learn(watch)
        self._waiting += 1

    def recommend(self, user: int, now: float) -> list[int]:  # noqa: ARG002
        """What the linear model makes of the latest lessons."""
        if self._waiting >= EVERY:
            self._model, self._waiting = solved(self._seen), 0
        known = len(self._model)
        history = [index for index in self._seen.histories[user] if index < known]
        latest = history[: -LATEST - 1 : -1]
        scores = (1.0 / np.arange(1, len(latest) + 1)) @ self._model[latest]
        return best(self._seen, user, scores)


def solved(seen: Together) -> Floats:
    """The weight of each lesson for each other lesson."""
    gram = seen.pairs + np.diag(seen.met + REGULARIZATION)
    inverse = np.linalg.inv(gram)
    model = inverse / -np.diag(inverse)
    np.fill_diagonal(model, 0.0)
    return np.asarray(model)
