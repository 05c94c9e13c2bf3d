"""Weights: how much each feature counts, learned online from the interactions that happen.

    weight of a feature = base + by the pause since the user's last interaction + by their number
                          + by how often users went on from the latest lesson

Each event is one step of AdaGrad (Duchi et al., 2011), before the counts learn the event, along the
gradient of the log-likelihood of its lesson, the target, under a softmax over the candidates.
Weights are no sum over users: they depend on the order of learning, and are stored apart.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, Self

import numpy as np

from recommendation_service.model.arrays import Floats, Logs
from recommendation_service.model.features import NAMES, UserContext

LEARNING_RATE: Final = 0.1
PAUSES: Final = (120.0, 900.0, 21_600.0, 2 * 86_400.0, 14 * 86_400.0)  # seconds; bounds of buckets
HISTORY_LENGTHS: Final = (1, 2, 4, 9, 31)  # interactions; where the next bucket begins
CONTINUATIONS: Final = (1, 3, 10, 30, 100)  # where the next bucket begins
DEFAULTS: Final = {  # close to what is learned from streams of different kinds
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
SHAPE: Final = (4 + len(PAUSES) + len(HISTORY_LENGTHS) + len(CONTINUATIONS), len(NAMES))


class Weights:
    """Weights by row: one row for everybody, and one for each bucket of each kind."""

    def __init__(self, values: Floats | None = None, squares: Floats | None = None) -> None:
        self._values = _defaults() if values is None else values
        self._squares = np.full(SHAPE, 0.01) if squares is None else squares

    def of(self, users: Sequence[UserContext]) -> Floats:
        """The weight of each feature for users: [users, features]."""
        return np.asarray(self._values[[_rows(user) for user in users]].sum(axis=1))

    def learn(self, user: UserContext, logs: Logs, probabilities: Logs, target: int) -> None:
        """One step towards the target, given features and probabilities of the candidates."""
        gradient = (logs[:, target] - logs @ probabilities).astype(np.float64)
        rows = _rows(user)
        self._squares[rows] += gradient * gradient
        self._values[rows] += LEARNING_RATE * gradient / np.sqrt(self._squares[rows])

    def to_bytes(self) -> bytes:
        """The state of learning, for `from_bytes`."""
        return np.stack([self._values, self._squares]).astype("<f8").tobytes()

    @classmethod
    def from_bytes(cls, stored: bytes) -> Self:
        """The weights from `to_bytes`; the defaults if other features were saved."""
        numbers = np.frombuffer(stored, "<f8").astype(np.float64)
        if numbers.size != 2 * SHAPE[0] * SHAPE[1]:
            return cls()
        values, squares = numbers.reshape(2, *SHAPE)
        return cls(values, squares)


def _defaults() -> Floats:
    values = np.zeros(SHAPE)
    values[0] = [DEFAULTS[name] for name in NAMES]
    return values


def _rows(user: UserContext) -> list[int]:
    """The rows that apply to a user: the one for everybody, and one bucket of each kind."""
    pause = bisect_right(PAUSES, user.pause) if user.history_length else len(PAUSES)
    length = len(PAUSES) + 1 + bisect_right(HISTORY_LENGTHS, user.history_length)
    before = len(PAUSES) + len(HISTORY_LENGTHS) + 2
    continuations = before + bisect_right(CONTINUATIONS, user.continuations)
    return [0, 1 + pause, 1 + length, 1 + continuations]
