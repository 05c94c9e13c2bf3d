"""Weights: how much each feature counts, learned online from what users really met.

    weight of a feature = base + by the pause since the user's last meeting + by their number
                          + by how often people went on from the latest lesson

One step per event, before the tables learn it: the gradient of the log-likelihood of the lesson
that came (softmax over the candidates), scaled by AdaGrad (Duchi et al., 2011). Weights are no sum
over users: they depend on the order of learning, and are kept apart from the tables.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, Self

import numpy as np

from recommendation_service.model.arrays import Floats, Logs
from recommendation_service.model.features import NAMES, Situation

RATE: Final = 0.1
PAUSES: Final = (120.0, 900.0, 21_600.0, 2 * 86_400.0, 14 * 86_400.0)  # seconds; limits of buckets
LENGTHS: Final = (1, 2, 4, 9, 31)  # meetings; where the next bucket begins
WAYS: Final = (1, 3, 10, 30, 100)  # times people went on; where the next bucket begins
DEFAULTS: Final = {  # to begin with; close to what streams of different natures teach
    "popular_hour": 0.05,
    "popular_day": 0.05,
    "popular_week": 0.05,
    "start": 0.3,
    "next": 0.2,
    "previous": 0.1,
    "in_session": 0.1,
    "new_session": 0.1,
    "far": 0.1,
    "together": 0.4,
    "path": 0.2,
    "age": 0.3,
    "passed": 0.4,
}
SHAPE: Final = (4 + len(PAUSES) + len(LENGTHS) + len(WAYS), len(NAMES))


class Weights:
    """A row of weights for everybody, and one for each pause, length and number of ways on."""

    def __init__(self, values: Floats | None = None, squares: Floats | None = None) -> None:
        self._values = _defaults() if values is None else values
        self._squares = np.full(SHAPE, 0.01) if squares is None else squares

    def of(self, users: Sequence[Situation]) -> Floats:
        """The weight of each feature for users: [users, features]."""
        return np.asarray(self._values[[_rows(user) for user in users]].sum(axis=1))

    def learn(self, user: Situation, logs: Logs, chances: Logs, came: int) -> None:
        """One step towards the candidate that came; `chances` are what was given to each."""
        gradient = (logs[:, came] - logs @ chances).astype(np.float64)
        rows = _rows(user)
        self._squares[rows] += gradient * gradient
        self._values[rows] += RATE * gradient / np.sqrt(self._squares[rows])

    def to_bytes(self) -> bytes:
        """Everything that was learned."""
        return np.stack([self._values, self._squares]).astype("<f8").tobytes()

    @classmethod
    def from_bytes(cls, stored: bytes) -> Self:
        """What `to_bytes` gave; the defaults for what another version saved, of other features."""
        numbers = np.frombuffer(stored, "<f8").astype(np.float64)
        if numbers.size != 2 * SHAPE[0] * SHAPE[1]:
            return cls()
        values, squares = numbers.reshape(2, *SHAPE)
        return cls(values, squares)


def _defaults() -> Floats:
    values = np.zeros(SHAPE)
    values[0] = [DEFAULTS[name] for name in NAMES]
    return values


def _rows(user: Situation) -> list[int]:
    """The rows of weights for a user: for everybody, and one of each kind of buckets."""
    pause = bisect_right(PAUSES, user.pause) if user.length else len(PAUSES)
    length = len(PAUSES) + 1 + bisect_right(LENGTHS, user.length)
    ways = len(PAUSES) + len(LENGTHS) + 2 + bisect_right(WAYS, user.ways)
    return [0, 1 + pause, 1 + length, 1 + ways]
