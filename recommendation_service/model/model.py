"""Model: the statistics of all histories together, and the recommendations from them.

A model is built from changes, in any order: the same contributions make the same model, as the
fingerprint shows. It lives in memory, is not safe for use by two threads at once, and answers from
what it holds, without waiting.
"""

from collections.abc import Collection, Iterable, Sequence
from math import inf
from typing import Literal

import numpy as np

from recommendation_service.model.arrays import Indices, union
from recommendation_service.model.candidates import Candidates
from recommendation_service.model.columns import Columns
from recommendation_service.model.counts import LAG_UNITS, Counts, Figure, Neighbour
from recommendation_service.model.eligibility import Eligibility
from recommendation_service.model.eligible_lessons import EligibleLessons
from recommendation_service.model.explain import Influence, influences
from recommendation_service.model.explore import ANONYMOUS_RECIPIENT, Recipient
from recommendation_service.model.features import LESSON_BASED, UserContext, user_context
from recommendation_service.model.fingerprint import MODULUS, fingerprint_of
from recommendation_service.model.fold import Fold, InteractionArrays
from recommendation_service.model.history import Change, Interaction
from recommendation_service.model.popularity import PopularityCache
from recommendation_service.model.rank import RankedLesson, score, top_k
from recommendation_service.model.rank_batch import BatchRanker, RankingRequest
from recommendation_service.model.smoothing import SMOOTHING
from recommendation_service.model.sparse_rows import gather
from recommendation_service.model.weights import Weights
from shared.ids import LessonId

Window = Literal["1h", "1d", "7d", "all"]


class Model:
    """The counts of lessons, and the weights that combine them into scores."""

    def __init__(self, weights: Weights | None = None) -> None:
        self.weights = weights or Weights()
        self.fingerprint = 0  # of all contributions: the same for the same histories
        self.counts = Counts()
        self.eligibility = Eligibility(self.counts)
        self._popularity = PopularityCache(self.counts)
        self._candidates = Candidates(self.counts)
        self._ranker = BatchRanker(self.counts, self._popularity, self._candidates)

    @classmethod
    def of(
        cls, histories: Iterable[Sequence[Interaction]], weights: Weights | None = None
    ) -> "Model":
        """The model of histories, each oldest first; faster than a change for each interaction."""
        model = cls(weights)
        fold = Fold(model.counts)
        fold.add(InteractionArrays.of(histories))
        model.fingerprint = fold.finish()
        return model

    @property
    def latest(self) -> float:
        """The time of the latest interaction, in seconds since 1970; 0 if there is none."""
        return max(float(self.counts.figures[Figure.LAST].max(initial=-inf)), 0.0)

    @property
    def lessons(self) -> int:
        """The number of lessons with interactions."""
        return len(self.counts.watched())

    def apply(self, change: Change) -> None:
        """Learn a change. Changes may come in any order, each once."""
        for contributions, times in ((change.removed, -1), (change.added, 1)):
            for contribution in contributions:
                self.counts.add(contribution, times)
                self.fingerprint += times * fingerprint_of(contribution)
        self.fingerprint %= MODULUS
        self.counts.set_bounds(change.bounds)

    def recommend(
        self,
        history: Sequence[Interaction],
        now: float,
        limit: int,
        exclude: Collection[LessonId] = (),
        recipient: Recipient = ANONYMOUS_RECIPIENT,
    ) -> list[RankedLesson]:
        """The best lessons for a user, neither watched nor excluded, best first.

        The history is the user's own, oldest first. There are fewer than `limit` only if no more
        are left. A score is the probability that the lesson is the user's next. New lessons get the
        share of places that the recipient asks for. With a filter of eligible lessons, described
        lessons without interactions are among the new ones, and fill a list that would end early.
        """
        return self.recommend_all([RankingRequest(history, limit, exclude, recipient)], now)[0]

    def recommend_all(
        self, requests: Sequence[RankingRequest], now: float
    ) -> list[list[RankedLesson]]:
        """The same for each request, which costs less than one after the other."""
        return self._ranker.rank(self.weights, requests, now)

    def explain(
        self, history: Sequence[Interaction], now: float, found: Sequence[RankedLesson]
    ) -> list[list[Influence]]:
        """The contribution of each lesson of the user to each score; together they are the score.

        The largest first; none where no lesson of the user speaks for the recommended one.
        """
        user = user_context(self.counts, history, now)
        known = [one.lesson_id for one in found if one.lesson_id in self.counts.index]
        if not known or not user.recent:
            return [[] for _ in found]
        indices = np.array([self.counts.index[lesson_id] for lesson_id in known])
        candidates = union(self._candidates_for(history, user), indices, len(self.counts))
        columns = Columns([candidates], len(self.counts))
        logs = score(self._popularity, self.weights, [user], columns).logs[0, LESSON_BASED]
        weighted_features = self.weights.of([user])[0, LESSON_BASED, None] * logs
        by_lesson = dict(zip(known, weighted_features.T[columns.of(indices)], strict=True))
        return [influences(self.counts, user, one, by_lesson.get(one.lesson_id)) for one in found]

    def learn_weights(
        self, history: Sequence[Interaction], lesson_id: LessonId, now: float
    ) -> int | None:
        """Learn weights from a user's next lesson, before the counts learn it.

        Returns the rank, from 1, of the lesson among the candidates. None if it was not among them:
        then nothing was learned.
        """
        user = user_context(self.counts, history, now)
        candidates = self._candidates_for(history, user)
        targets = candidates[candidates == self.counts.index.get(lesson_id, -1)]
        if not len(targets):
            return None
        columns = Columns([candidates], len(self.counts))
        scoring = score(self._popularity, self.weights, [user], columns)
        target, probabilities = int(columns.of(targets)[0]), scoring.probabilities[0]
        self.weights.learn(user, scoring.logs[0], probabilities, target)
        return int((probabilities > probabilities[target]).sum()) + 1

    def _candidates_for(self, history: Sequence[Interaction], user: UserContext) -> Indices:
        unseen = self.counts.watched([interaction.lesson_id for interaction in history])
        return self._candidates.for_user(user, unseen, 0)

    def popularity_rank(self, history: Sequence[Interaction], lesson_id: LessonId) -> int | None:
        """The rank, from 1, of a lesson by interactions, among lessons the user did not watch.

        None for a lesson without interactions.
        """
        index = self.counts.index.get(lesson_id)
        interactions = self.counts.figures[Figure.INTERACTIONS]
        if index is None or interactions[index] <= 0:
            return None
        indices = self.counts.watched([interaction.lesson_id for interaction in history])
        return int((interactions[indices] > interactions[index]).sum()) + 1

    def similar(
        self, lesson_id: LessonId, limit: int, eligible: EligibleLessons | None = None
    ) -> list[RankedLesson]:
        """Lessons with interactions of the same users near by: cosine of both directions' sums."""
        index = self.counts.index.get(lesson_id)
        if index is None:
            return []
        others, values = gather([self.counts.neighbours[index]])
        together = values[:, Neighbour.FORWARD] + values[:, Neighbour.BACKWARD]
        interactions = self.counts.figures[Figure.INTERACTIONS]
        scores = together / LAG_UNITS / np.sqrt(interactions[index] * interactions[others])
        shown = eligible.mask(len(self.counts))[others] if eligible else slice(None)
        return top_k(self.counts.lessons, others[shown], scores[shown], limit, "similar")

    def next(
        self, lesson_id: LessonId, limit: int, eligible: EligibleLessons | None = None
    ) -> list[RankedLesson]:
        """Lessons that came right after a lesson: their share of its continuations."""
        index = self.counts.index.get(lesson_id)
        if index is None:
            return []
        others, values = gather([self.counts.transitions[index]])
        continuations = values.sum(axis=1)
        scores = continuations / (continuations.sum() + SMOOTHING)
        shown = eligible.mask(len(self.counts))[others] if eligible else slice(None)
        return top_k(self.counts.lessons, others[shown], scores[shown], limit, "watched_next")

    def is_eligible(self, lesson_id: LessonId, eligible: EligibleLessons) -> bool:
        """Whether a lesson may be shown."""
        index = self.counts.index.get(lesson_id)
        return index is not None and bool(eligible.mask(len(self.counts))[index])

    def popular(
        self,
        window: Window,
        now: float,
        limit: int,
        exclude: Collection[LessonId] = (),
        eligible: EligibleLessons | None = None,
    ) -> list[RankedLesson]:
        """The lessons with most interactions: of all time, or with a half-life of the window."""
        mask = eligible.mask(len(self.counts)) if eligible else None
        indices = self.counts.watched(exclude, mask)
        if window == "all":
            interactions = self.counts.figures[Figure.INTERACTIONS]
        else:
            interactions = self.counts.popularity[window].at(now, len(self.counts))
        return top_k(self.counts.lessons, indices, interactions[indices], limit)
