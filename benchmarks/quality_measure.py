"""Quality measure: replay a stream to a recommender, and compute nDCG, hit rate and intervals."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import compress
from math import log2
from time import perf_counter, process_time
from typing import Final, NamedTuple, Protocol

import numpy as np

from benchmarks.quality_stream import Questions, Watch
from recommendation_service.model.arrays import Floats

LIMIT: Final = 10  # lessons per answer
RESAMPLES: Final = 500  # of the users, for an interval
INNER: Final = (2.5, 97.5)  # percentiles between which an interval lies

Figures = dict[str, object]


class Recommender(Protocol):
    """A recommender: it learns first interactions in time order, and recommends unseen lessons."""

    def learn(self, watch: Watch) -> None:
        """Learn that a user watched a lesson for the first time."""

    def recommend(self, user: int, now: float) -> list[int]:
        """The best lessons the user has not watched, best first."""
        ...


class AnswerLog:
    """The answers of a recommender to one kind of question."""

    def __init__(self) -> None:
        self.users: list[int] = []
        self.gains: list[float] = []  # 1 / log2(1 + rank) of the lesson that came, or 0
        self.lists: list[list[int]] = []

    def add(self, watch: Watch, answer: list[int]) -> None:
        """Keep what was recommended before a watch."""
        self.add_rank(watch.user, answer.index(watch.lesson) + 1 if watch.lesson in answer else 0)
        self.lists.append(answer)

    def add_rank(self, user: int, rank: int) -> None:
        """Keep the place, from 1, of the lesson that came; 0 if it was not recommended."""
        self.users.append(user)
        self.gains.append(1 / log2(1 + rank) if 0 < rank <= LIMIT else 0.0)

    def only(self, chosen: Sequence[bool]) -> "AnswerLog":
        """The answers to some of the questions, without the lists."""
        part = AnswerLog()
        part.users = list(compress(self.users, chosen))
        part.gains = list(compress(self.gains, chosen))
        return part

    @property
    def hit(self) -> float:
        """How often the lesson that came was recommended."""
        return float(np.mean(np.array(self.gains) > 0)) if self.gains else 0.0

    @property
    def ndcg(self) -> float:
        """Normalised discounted cumulative gain: there is one right answer, so the mean gain."""
        return float(np.mean(self.gains)) if self.gains else 0.0

    @property
    def recommended(self) -> set[int]:
        """All lessons that were recommended."""
        return {lesson for answer in self.lists for lesson in answer}


class Measured(NamedTuple):
    """The result of a replay."""

    warm: AnswerLog
    cold: AnswerLog
    figures: Figures


def measure(
    recommender: Recommender,
    watches: Sequence[Watch],
    asked: Questions,
    settle: Callable[[], None] | None = None,
) -> Measured:
    """Replay watches to a recommender; `settle` is called before each question, and not timed.

    Without it, all happens in this process, and its processor time is taken: other programs on the
    machine do not count.
    """
    warm, cold, seen = AnswerLog(), AnswerLog(), set[tuple[int, int]]()
    timer = perf_counter if settle else process_time
    learning, recommending = Clock(timer), Clock(timer)
    for number, watch in enumerate(watches):
        if number in asked.warm or number in asked.cold:
            if settle:
                settle()
            with recommending:
                answer = recommender.recommend(watch.user, watch.at)
            (warm if number in asked.warm else cold).add(watch, answer)
        if (watch.user, watch.lesson) not in seen:
            seen.add((watch.user, watch.lesson))
            with learning:
                recommender.learn(watch)
    figures: Figures = {
        "ndcg@10": round(warm.ndcg, 4),
        "interval": interval(warm.users, warm.gains),
        "hit@10": round(warm.hit, 4),
        "coverage": round(len(warm.recommended) / len({lesson for _, lesson in seen}), 4),
        "cold_start": round(cold.ndcg, 4),
        "learn_us": learning.microseconds,
        "recommend_us": recommending.microseconds,
    }
    return Measured(warm, cold, figures)


class Clock:
    """The mean time of an operation."""

    def __init__(self, timer: Callable[[], float] = process_time) -> None:
        self._timer = timer
        self._spent = self._began = 0.0
        self._times = 0

    def __enter__(self) -> None:
        self._began = self._timer()

    def __exit__(self, *_: object) -> None:
        self._spent += self._timer() - self._began
        self._times += 1

    @property
    def microseconds(self) -> float:
        """The mean."""
        return round(1e6 * self._spent / max(self._times, 1), 1)


def difference(one: AnswerLog, other: AnswerLog) -> Figures:
    """The mean gain of one over another, with its bootstrap interval."""
    gains = [gain - less for gain, less in zip(one.gains, other.gains, strict=True)]
    return {
        "difference": round(float(np.mean(gains)), 4),
        "difference_interval": interval(one.users, gains),
    }


def interval(users: Sequence[int], values: Sequence[float]) -> list[float]:
    """The 95 % interval of the mean: a bootstrap over users."""
    sums: defaultdict[int, float] = defaultdict(float)
    for user, value in zip(users, values, strict=True):
        sums[user] += value
    counts = Counter(users)
    total = np.array([sums[user] for user in counts])
    number = np.array([counts[user] for user in counts])
    rng = np.random.default_rng(0)
    means = [_mean(total, number, rng) for _ in range(RESAMPLES if counts else 0)]
    return [round(float(one), 4) for one in np.percentile(means, INNER)] if means else [0.0, 0.0]


def _mean(total: Floats, number: Floats, rng: np.random.Generator) -> float:
    drawn = rng.integers(0, len(total), len(total))
    return float(total[drawn].sum() / number[drawn].sum())
