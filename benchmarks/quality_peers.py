"""Quality peers: the product's own model, and simple recommenders beside it."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from benchmarks.quality_cooccurrence import Cooccurrences, best, nearest
from benchmarks.quality_ease import Ease
from benchmarks.quality_implicit import factorizations
from benchmarks.quality_measure import LIMIT, Recommender
from benchmarks.quality_reference import Reference
from benchmarks.quality_stream import Watch
from recommendation_service.model.arrays import Floats
from recommendation_service.model.history import Interaction, difference
from recommendation_service.model.model import Model
from shared.ids import LessonId

DAY: Final = 86_400.0  # seconds
TICK: Final = 1e-3  # seconds between watches that a file gives the same time
KEPT: Final = 50  # latest lessons that item-kNN counts a lesson with

Peers = dict[str, Callable[[], Recommender]]


class Upnext:
    """The product's model, learning each watch and the weights as it comes."""

    def __init__(self) -> None:
        self.model = Model()
        self.histories: defaultdict[int, list[Interaction]] = defaultdict(list)

    def learn(self, watch: Watch) -> None:
        """Learn the weights, then the interaction."""
        history = self.histories[watch.user]
        lesson, at = LessonId(watch.lesson), watch.at
        if history:
            at = max(at, history[-1].at + TICK)  # the file's order decides between equal times
        self.predict(watch.user, Interaction(lesson, at))
        longer = [*history, Interaction(lesson, at)]
        self.model.apply(difference(history, longer))
        self.histories[watch.user] = longer

    def predict(self, user: int, met: Interaction) -> int | None:
        """Learn the weights from an interaction, and return the rank it had."""
        return self.model.learn_weights(self.histories[user], met.lesson_id, met.at)

    def recommend(self, user: int, now: float) -> list[int]:
        """Ask the model."""
        return [one.lesson_id for one in self.model.recommend(self.histories[user], now, LIMIT)]


class Popular:
    """Most watched lessons; an interaction halves in weight after `half_life` seconds, if any."""

    def __init__(self, half_life: float | None = None) -> None:
        self._half_life = half_life
        self._start: float | None = None
        self._scores = np.zeros(0)
        self._seen = Cooccurrences(window=0)

    def learn(self, watch: Watch) -> None:
        """Count the interaction."""
        index = self._seen.learn(watch)
        if index == len(self._scores):
            self._scores = np.append(self._scores, 0.0)
        self._scores[index] += self._weight(watch.at)

    def recommend(self, user: int, now: float) -> list[int]:  # noqa: ARG002
        """The same lessons for everybody, except those already watched."""
        return best(self._seen, user, self._scores)

    def _weight(self, at: float) -> float:
        if self._half_life is None:
            return 1.0
        if self._start is None:
            self._start = at
        if at - self._start > 500 * self._half_life:
            self._scores = self._scores * 2.0 ** ((self._start - at) / self._half_life)
            self._start = at
        return float(2.0 ** ((at - self._start) / self._half_life))


class ItemNeighbours:
    """Item-kNN: cosine of the users two lessons share, over the user's latest lessons by 1/rank."""

    def __init__(self) -> None:
        self._seen = Cooccurrences(window=KEPT)

    def learn(self, watch: Watch) -> None:
        """Count the interaction with those before it; nothing else needs refreshing."""
        self._seen.learn(watch)

    def recommend(self, user: int, now: float) -> list[int]:  # noqa: ARG002
        """The lessons nearest to the latest ones."""
        length: Floats = np.sqrt(self._seen.met)
        return best(self._seen, user, nearest(self._seen, user, 1.0 / length) / length)


def peers(watches: Sequence[Watch]) -> tuple[Peers, dict[str, str]]:
    """The recommenders to compare, by name, and the missing ones, with the reason."""
    factored, left_out = factorizations(max(len(watches) // 10, 1))
    compared: Peers = {
        "upnext": Upnext,
        "popular": Popular,
        "popular, decayed by day": lambda: Popular(DAY),
        "item-kNN": ItemNeighbours,
        "EASE": Ease,
        **factored,
        "reference": Reference,
    }
    return compared, left_out
