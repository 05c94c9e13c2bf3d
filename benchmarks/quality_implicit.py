"""Quality implicit: matrix factorizations of the library `implicit`, where it is installed.

They are trained again after every tenth of the stream, when they are asked; between, a user's own
history is always fresh: ALS solves for the user's factors, BPR takes the mean of the lessons' ones.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from benchmarks.quality_cooccurrence import LATEST, Cooccurrences, best
from benchmarks.quality_measure import Recommender
from benchmarks.quality_stream import Watch
from recommendation_service.model.arrays import Floats

FACTORS: Final = 64
SEED: Final = 1
NAMES: Final = ("ALS", "BPR")
MISSING: Final = "the library `implicit` is not installed; requirements-bench.lock has it"


def factorizations(period: int) -> tuple[dict[str, Callable[[], Recommender]], dict[str, str]]:
    """The factorizations, trained after so many interactions; else why they are missing."""
    if not find_spec("implicit"):
        return {}, dict.fromkeys(NAMES, MISSING)
    # The library has threads of its own; those of all linear algebra would spin beside them.
    import_module("implicit.cpu.als")
    import_module("threadpoolctl").threadpool_limits(1, "blas")
    made: dict[str, Callable[[], Recommender]] = {
        "ALS": lambda: Factorization(period, _als, _solved_user),
        "BPR": lambda: Factorization(period, _bpr, _mean_user),
    }
    return made, {}


class Factorization:
    """Lessons and users as vectors, whose product is the score."""

    def __init__(
        self,
        period: int,
        train: Callable[[Any], Any],
        user_of: Callable[[Any, list[int]], Floats],
    ) -> None:
        self._period, self._train, self._user_of = period, train, user_of
        self._seen = Cooccurrences(window=0)
        self._learned = 0
        self._trained = -1  # tenths of the stream
        self._model: Any = None

    def learn(self, watch: Watch) -> None:
        """Keep the interaction until the next training."""
        self._seen.learn(watch)
        self._learned += 1

    def recommend(self, user: int, now: float) -> list[int]:  # noqa: ARG002
        """The product of the lessons with the user as the history is now."""
        if self._trained != self._learned // self._period:
            self._trained = self._learned // self._period
            self._model = self._train(_matrix(self._seen))
        known = len(self._model.item_factors)
        history = [index for index in self._seen.histories[user] if index < known]
        scores = np.zeros(known)
        if history:
            scores = self._model.item_factors @ self._user_of(self._model, history)
        return best(self._seen, user, scores)


def _matrix(seen: Cooccurrences) -> Any:
    """Users by lessons, sparse."""
    histories = [history for history in seen.histories.values() if history]
    lengths = np.cumsum([0, *map(len, histories)])
    met = np.concatenate(histories)
    shape = (len(histories), len(seen))
    return _sparse((np.ones(len(met), np.float32), met, lengths), shape)


def _sparse(parts: tuple[Any, Any, Any], shape: tuple[int, int]) -> Any:
    matrix = import_module("scipy.sparse").csr_matrix(parts, shape=shape)
    matrix.sort_indices()
    return matrix


def _als(matrix: Any) -> Any:
    kind = import_module("implicit.cpu.als").AlternatingLeastSquares
    model = _fitted(kind(FACTORS, regularization=1.0, random_state=SEED), matrix)
    model.num_threads = 1  # one user is solved for sooner than other threads are woken
    return model


def _bpr(matrix: Any) -> Any:
    kind = import_module("implicit.cpu.bpr").BayesianPersonalizedRanking
    # With more threads than one, no two trainings give the same.
    return _fitted(kind(FACTORS, random_state=SEED, num_threads=1), matrix)


def _fitted(model: Any, matrix: Any) -> Any:
    model.fit(matrix, show_progress=False)
    return model


def _solved_user(model: Any, history: list[int]) -> Floats:
    parts = (np.ones(len(history), np.float32), np.array(history), np.array([0, len(history)]))
    row = _sparse(parts, (1, len(model.item_factors)))
    return np.asarray(model.recalculate_user(0, row)).ravel()


def _mean_user(model: Any, history: list[int]) -> Floats:
    latest = history[: -LATEST - 1 : -1]
    user = np.average(model.item_factors[latest], 0, 1.0 / np.arange(1, len(latest) + 1))
    user[-1] = 1.0  # stands against how popular a lesson is in itself
    return np.asarray(user)
