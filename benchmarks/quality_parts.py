"""Quality parts: models that use how much of a lesson was watched."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final
from unittest import mock

from typing_extensions import override

from benchmarks.quality_measure import LIMIT, Recommender
from benchmarks.quality_peers import Upnext
from benchmarks.quality_stream import Watch
from recommendation_service.model import model
from recommendation_service.model.counts import Counts
from shared.ids import LessonId


class WeightedCounts(Counts):
    """Counts in which the next interaction has a weight below 1.

    Fractions add up as whole numbers do; the amounts are the last arguments.
    """

    counting = 1.0

    @override
    def _add_interaction(self, *given: Any) -> None:
        super()._add_interaction(*given[:-1], given[-1] * self.counting)  # type: ignore[call-arg]

    @override
    def _add_pair(self, *given: Any) -> None:
        amounts = (amount * self.counting for amount in given[-2:])
        super()._add_pair(*given[:-2], *amounts)

    @override
    def _add_transition(self, *given: Any) -> None:
        super()._add_transition(*given[:-1], given[-1] * self.counting)  # type: ignore[call-arg]


class WeightedByShare(Upnext):
    """The model, in which a watch counts by how much of the lesson was watched."""

    def __init__(self, counts_as: Callable[[float], float]) -> None:
        super().__init__()
        self._counts_as = counts_as
        with mock.patch.object(model, "Counts", WeightedCounts):
            self.model = model.Model()

    @override
    def learn(self, watch: Watch) -> None:
        """Learn the watch by its weight."""
        if isinstance(self.model.counts, WeightedCounts):
            self.model.counts.counting = self._counts_as(watch.part)
        super().learn(watch)


class WithoutShortVisits(Upnext):
    """The model without visits that are too short; these lessons are not recommended again."""

    def __init__(self, least: float) -> None:
        super().__init__()
        self._least = least
        self._visited: defaultdict[int, list[LessonId]] = defaultdict(list)

    @override
    def learn(self, watch: Watch) -> None:
        """Learn the watch, unless it is too short."""
        if watch.part < self._least:
            self._visited[watch.user].append(LessonId(watch.lesson))
        else:
            super().learn(watch)

    @override
    def recommend(self, user: int, now: float) -> list[int]:
        """Ask the model, without lessons that were only visited."""
        history, visited = self.histories[user], self._visited[user]
        return [one.lesson_id for one in self.model.recommend(history, now, LIMIT, visited)]


BY_PART: Final[dict[str, Callable[[], Recommender]]] = {
    "visits below 5 % left out": lambda: WithoutShortVisits(0.05),
    "visits below 10 % left out": lambda: WithoutShortVisits(0.1),
    "visits below 10 % not counted": lambda: WeightedByShare(lambda part: float(part >= 0.1)),
    "counted by the part watched": lambda: WeightedByShare(lambda part: part),
    "counted half by it": lambda: WeightedByShare(lambda part: 0.5 + part / 2),
}
