"""Quality peers: what `benchmarks/quality.py` compares, the product's own model among them."""

from collections import Counter, defaultdict
from collections.abc import Callable
from math import sqrt
from typing import Final, NamedTuple, Protocol

from recommendation_service.model.history import Meeting, difference
from recommendation_service.model.model import Model
from shared.events import LessonId

LIMIT: Final = 10  # lessons per answer
DAY: Final = 86_400.0  # seconds
TICK: Final = 1e-3  # seconds between watches that a file gives the same time


class Watch(NamedTuple):
    """A line of the file."""

    user: int
    lesson: int
    at: float  # seconds since 1970


class Recommender(Protocol):
    """What is compared: it learns first meetings in time order, and recommends unseen lessons."""

    def learn(self, watch: Watch) -> None:
        """Learn that a user met a lesson for the first time."""

    def recommend(self, user: int, now: float) -> list[int]:
        """The best lessons the user has not met, best first."""
        ...


class Upnext:
    """The product's model, learning each watch and the weights as it comes."""

    def __init__(self) -> None:
        self.model = Model()
        self.histories: defaultdict[int, list[Meeting]] = defaultdict(list)

    def learn(self, watch: Watch) -> None:
        """Learn the weights, then the meeting."""
        history = self.histories[watch.user]
        lesson, at = LessonId(watch.lesson), watch.at
        if history:
            at = max(at, history[-1].at + TICK)  # the file's order decides between equal times
        self.model.learn_weights(history, lesson, at)
        longer = [*history, Meeting(lesson, at)]
        self.model.apply(difference(history, longer))
        self.histories[watch.user] = longer

    def recommend(self, user: int, now: float) -> list[int]:
        """Ask the model."""
        return [one.lesson_id for one in self.model.recommend(self.histories[user], now, LIMIT)]


class Popular:
    """Most met lessons, each meeting halved in weight after `half_life` seconds, if any."""

    def __init__(self, half_life: float | None = None) -> None:
        self.half_life = half_life
        self.start: float | None = None
        self.scores: defaultdict[int, float] = defaultdict(float)
        self.seen: defaultdict[int, set[int]] = defaultdict(set)

    def learn(self, watch: Watch) -> None:
        """Count the meeting."""
        self.seen[watch.user].add(watch.lesson)
        self.scores[watch.lesson] += self._weight(watch.at)

    def recommend(self, user: int, now: float) -> list[int]:  # noqa: ARG002
        """The same lessons for everybody, but for those met."""
        return best(self.scores, self.seen[user], {})

    def _weight(self, at: float) -> float:
        if self.half_life is None:
            return 1.0
        if self.start is None:
            self.start = at
        if at - self.start > 500 * self.half_life:
            fading = 2.0 ** ((self.start - at) / self.half_life)
            self.scores = defaultdict(float, {k: v * fading for k, v in self.scores.items()})
            self.start = at
        return float(2.0 ** ((at - self.start) / self.half_life))


class ItemNeighbours:
    """Item-kNN: cosine of the users two lessons share, the latest 20 lessons by 1/rank."""

    def __init__(self) -> None:
        self.together: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self.met: Counter[int] = Counter()
        self.histories: defaultdict[int, list[int]] = defaultdict(list)

    def learn(self, watch: Watch) -> None:
        """Count the meeting with the latest 50 before it."""
        history = self.histories[watch.user]
        for lesson in history[-50:]:
            self.together[lesson][watch.lesson] += 1
            self.together[watch.lesson][lesson] += 1
        self.met[watch.lesson] += 1
        history.append(watch.lesson)

    def recommend(self, user: int, now: float) -> list[int]:  # noqa: ARG002
        """The lessons nearest to the latest ones."""
        history = self.histories[user]
        scores: defaultdict[int, float] = defaultdict(float)
        for rank, lesson in enumerate(history[:-21:-1], 1):
            factor = 1.0 / rank / sqrt(self.met[lesson])
            for other, times in self.together[lesson].items():
                scores[other] += factor * times / sqrt(self.met[other])
        return best(scores, set(history), self.met)


RECOMMENDERS: Final[dict[str, Callable[[], Recommender]]] = {
    "upnext": Upnext,
    "popular": Popular,
    "popular, decayed by day": lambda: Popular(DAY),
    "item-kNN": ItemNeighbours,
}


def best(scores: dict[int, float], seen: set[int], rest: dict[int, int]) -> list[int]:
    """The best unseen lessons; should they be too few, the best of the rest."""
    unseen = ((-value, lesson) for lesson, value in scores.items() if lesson not in seen)
    chosen = [lesson for _, lesson in sorted(unseen)[:LIMIT]]
    if len(chosen) < LIMIT and rest:
        others = {lesson: float(value) for lesson, value in rest.items()}
        chosen += best(others, seen | set(chosen), {})
    return chosen[:LIMIT]
