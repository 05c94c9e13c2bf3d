"""Quality ablation: what each part of the product's model adds, by leaving it out.

Parts are features, taken out of learning and of ranking; weights for situations; and learning. All
variants look at the same counts, so each watch is looked at once. Where the file says how much of a
lesson was watched, what that would add is measured too (`benchmarks.quality_parts`).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Final, NamedTuple

import numpy as np

from benchmarks.quality_measure import LIMIT, Asked, Figures, difference, measure
from benchmarks.quality_parts import BY_PART
from benchmarks.quality_peers import TICK
from benchmarks.quality_stream import Questions, Watch
from recommendation_service.model.arrays import Indices, Logs
from recommendation_service.model.candidates import Candidates
from recommendation_service.model.columns import Columns
from recommendation_service.model.features import NAMES, UserContext, features, user_context
from recommendation_service.model.history import Interaction
from recommendation_service.model.history import difference as change_of
from recommendation_service.model.model import Model
from recommendation_service.model.popularity import PopularityCache
from recommendation_service.model.rank import top_k
from recommendation_service.model.weights import Weights
from shared.ids import LessonId

GROUPS: Final = {
    "popularity lately": ("popular_hour", "popular_day", "popular_week"),
    "what users start with": ("start",),
    "next and previous": ("next", "previous"),
    "transitions by pause": ("in_session", "new_session"),
    "far and together": ("far", "together"),
    "path of three": ("path",),
    "age": ("age",),
    "passed by": ("passed",),
}
WATCHED: Final = 0.1  # of a lesson, from which a visit is a watch
WHOLE: Final = "whole"

Say = Callable[[str], None]
Answers = tuple[Asked, Asked]  # of users with earlier watches, and without


class Look(NamedTuple):
    """What the counts say of a user at a time."""

    user: UserContext
    candidates: Indices
    logs: Logs


class Variant:
    """Weights that see a part of what the counts say."""

    def __init__(
        self, without: Sequence[str] = (), *, situations: bool = True, learning: bool = True
    ) -> None:
        self.answers: Answers = Asked(), Asked()
        self._without = [NAMES.index(name) for name in without]
        self._situations, self._learning = situations, learning
        self._weights = Weights()

    def probabilities(self, look: Look) -> Logs:
        """The chance of each candidate."""
        sums = self._weights.of([self._user(look)])[0].astype(np.float32) @ self._logs(look)
        powers = np.exp(sums - sums.max())
        return np.asarray(powers / powers.sum())

    def learn(self, look: Look, target: int) -> None:
        """Learn from the candidate that came."""
        if self._learning:
            probabilities = self.probabilities(look)
            self._weights.learn(self._user(look), self._logs(look), probabilities, target)

    def _user(self, look: Look) -> UserContext:
        if self._situations:
            return look.user
        return look.user._replace(pause=0.0, history_length=1, continuations=0.0)

    def _logs(self, look: Look) -> Logs:
        if not self._without:
            return look.logs
        logs = look.logs.copy()
        logs[self._without] = 0.0
        return logs


class Replay:
    """One model that learns a stream, and many variants that answer from it."""

    def __init__(self, variants: Mapping[str, Variant]) -> None:
        self._variants = variants.values()
        self._model = Model()
        self._popularity = PopularityCache(self._model.counts)
        self._candidates = Candidates(self._model.counts)
        self._histories: defaultdict[int, list[Interaction]] = defaultdict(list)

    def ask(self, watch: Watch) -> None:
        """Note what each variant recommends before a watch."""
        history, lessons = self._histories[watch.user], self._model.counts.lessons
        look = self._look(history, watch.at, LIMIT)
        for variant in self._variants:
            answer: list[int] = []
            if look:
                scored = top_k(lessons, look.candidates, variant.probabilities(look), LIMIT)
                answer = [one.lesson_id for one in scored]
            variant.answers[not history].note(watch, answer)

    def learn(self, watch: Watch) -> None:
        """Let each variant learn its weights, then count the watch."""
        history, at = self._histories[watch.user], watch.at
        if history:
            at = max(at, history[-1].at + TICK)
        met = Interaction(LessonId(watch.lesson), at)
        look = self._look(history, at, 0)
        index = self._model.counts.index.get(met.lesson_id, -1)
        if look and index in look.candidates:
            for variant in self._variants:
                variant.learn(look, int(np.searchsorted(look.candidates, index)))
        longer = [*history, met]
        self._model.apply(change_of(history, longer))
        self._histories[watch.user] = longer

    def _look(self, history: Sequence[Interaction], now: float, limit: int) -> Look | None:
        counts = self._model.counts
        user = user_context(counts, history, now)
        met = [meeting.lesson_id for meeting in history]
        candidates = self._candidates.for_user(user, counts.watched(met), limit)
        if not len(candidates):
            return None
        columns = Columns([candidates], len(counts))
        logs = features(self._popularity, [user], columns)[0]
        return Look(user, candidates, logs.take(columns.of(candidates), axis=1))


def ablation(watches: Sequence[Watch], asked: Questions, say: Say) -> dict[str, Figures]:
    """The figures of the whole model and of each variant, with the difference to the whole."""
    began = perf_counter()
    answers = _answers(watches, asked)
    say(f"variants: {perf_counter() - began:.0f} s")
    if any(watch.part < 1 for watch in watches):
        for name, make in BY_PART.items():
            began = perf_counter()
            warm, cold, _ = measure(make(), watches, asked)
            answers[name] = warm, cold
            say(f"{name}: {perf_counter() - began:.0f} s")
    whole = answers[WHOLE][0]
    real = [watches[number].part >= WATCHED for number in sorted(asked.warm)]
    return {name: _row(one, whole, real) for name, one in answers.items()}


def _answers(watches: Sequence[Watch], asked: Questions) -> dict[str, Answers]:
    variants = {WHOLE: Variant()}
    variants |= {f"without {group}": Variant(names) for group, names in GROUPS.items()}
    variants["the same weights in all situations"] = Variant(situations=False)
    variants["weights as shipped"] = Variant(learning=False)
    replay = Replay(variants)
    seen: set[tuple[int, int]] = set()
    for number, watch in enumerate(watches):
        if number in asked.warm or number in asked.cold:
            replay.ask(watch)
        if (watch.user, watch.lesson) not in seen:
            seen.add((watch.user, watch.lesson))
            replay.learn(watch)
    return {name: variant.answers for name, variant in variants.items()}


def _row(answers: Answers, whole: Asked, real: Sequence[bool]) -> Figures:
    warm, cold = answers
    row: Figures = {"ndcg@10": round(warm.ndcg, 4), "hit@10": round(warm.hit, 4)}
    row |= _compared(warm, whole)
    row["cold_start"] = round(cold.ndcg, 4)
    if not all(real) and any(real):
        watched = warm.only(real)
        row["ndcg_watched"] = round(watched.ndcg, 4)
        compared = _compared(watched, whole.only(real)) if warm is not whole else {}
        row |= {
            name.replace("difference", "difference_watched"): compared[name] for name in compared
        }
    return row


def _compared(warm: Asked, whole: Asked) -> Figures:
    return {} if warm is whole else difference(warm, whole)
