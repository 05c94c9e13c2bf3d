"""Model: what all users' histories say together, and what it recommends.

A model is built from changes, in any order: the same contributions make the same model, and the
fingerprint says so. It lives in memory, is not safe to be used by two threads at once, and answers
from what it holds, without waiting for anything.
"""

from collections.abc import Collection, Iterable, Sequence
from math import inf
from typing import Literal

import numpy as np

from recommendation_service.model.arrays import union
from recommendation_service.model.candidates import Candidates
from recommendation_service.model.columns import Field
from recommendation_service.model.counts import BACKWARD, FORWARD, LAST, MET, SHARES, Counts
from recommendation_service.model.eligibility import Offer
from recommendation_service.model.eligible import View
from recommendation_service.model.explain import Because, because
from recommendation_service.model.explore import NOBODY, Visitor
from recommendation_service.model.features import LESSON_BASED, situation
from recommendation_service.model.fingerprint import MODULUS, fingerprint_of
from recommendation_service.model.fold import Fold, Meetings
from recommendation_service.model.history import Change, Interaction
from recommendation_service.model.popularity import Crowd
from recommendation_service.model.rank import Scored, best, score
from recommendation_service.model.rank_batch import Lists, Wanted
from recommendation_service.model.smoothing import SMOOTHING
from recommendation_service.model.sparse_rows import gather
from recommendation_service.model.weights import Weights
from shared.ids import LessonId

Window = Literal["1h", "1d", "7d", "all"]


class Model:
    """What is known about lessons, and the weights that combine it."""

    def __init__(self, weights: Weights | None = None) -> None:
        self.weights = weights or Weights()
        self.fingerprint = 0  # of all contributions: the same for the same histories
        self.counts = Counts()
        self.offer = Offer(self.counts)
        self._crowd = Crowd(self.counts)
        self._candidates = Candidates(self.counts)
        self._lists = Lists(self.counts, self._crowd, self._candidates)

    @classmethod
    def of(
        cls, histories: Iterable[Sequence[Interaction]], weights: Weights | None = None
    ) -> "Model":
        """The model of all histories, each oldest first; faster than one change for each."""
        model = cls(weights)
        fold = Fold(model.counts)
        fold.add(Meetings.of(histories))
        model.fingerprint = fold.finish()
        return model

    @property
    def latest(self) -> float:
        """When anybody met a lesson last, in seconds since 1970; 0 if nobody did."""
        return max(float(self.counts.figures[LAST].max(initial=-inf)), 0.0)

    @property
    def lessons(self) -> int:
        """How many lessons somebody met."""
        return len(self.counts.without(()))

    def apply(self, change: Change) -> None:
        """Learn a change. Changes may come in any order, each once."""
        for contribution in change.removed:
            self.counts.subtract(contribution)
            self.fingerprint -= fingerprint_of(contribution)
        for contribution in change.added:
            self.counts.add(contribution)
            self.fingerprint += fingerprint_of(contribution)
        self.fingerprint %= MODULUS
        self.counts.set_bounds(change.bounds)

    def recommend(
        self,
        history: Sequence[Interaction],
        now: float,
        limit: int,
        exclude: Collection[LessonId] = (),
        visitor: Visitor = NOBODY,
    ) -> list[Scored]:
        """The best lessons for a user that are neither met nor excluded, best first.

        The history is the user's own, oldest first. There are fewer than `limit` only if no more
        are left. A score is the chance that the lesson is the user's next. For a `visitor` who is
        known, new lessons get a share of the places. Where a catalogue is known, lessons of it that
        nobody met are among the new ones, and fill a list that would end early.
        """
        return self.recommend_all([Wanted(history, limit, exclude, visitor)], now)[0]

    def recommend_all(self, wanted: Sequence[Wanted], now: float) -> list[list[Scored]]:
        """The same for each list that is wanted, which costs less than one after the other."""
        return self._lists.of(self.weights, wanted, now)

    def explain(
        self, history: Sequence[Interaction], now: float, found: Sequence[Scored]
    ) -> list[list[Because]]:
        """How much each lesson the user met added to each score; together they are the score.

        The largest first; none where no lesson of the user led there.
        """
        user = situation(self.counts, history, now)
        known = [one.lesson_id for one in found if one.lesson_id in self.counts.index]
        if not known or not user.recent:
            return [[] for _ in found]
        places = np.array([self.counts.index[lesson_id] for lesson_id in known])
        candidates = self._candidates.for_user(user, self.counts.without(_seen(history)), 0)
        field = Field([union(candidates, places, len(self.counts))], len(self.counts))
        logs = score(self._crowd, self.weights, [user], field).logs[0, LESSON_BASED]
        merits = self.weights.of([user])[0, LESSON_BASED, None] * logs
        columns = dict(zip(known, merits.T[field.places(places)], strict=True))
        return [because(self.counts, user, one, columns.get(one.lesson_id)) for one in found]

    def learn_weights(
        self, history: Sequence[Interaction], lesson_id: LessonId, now: float
    ) -> int | None:
        """Learn how to combine the counts from what a user met next, before the counts learn it.

        The result is the rank, from 1, that the lesson had among the candidates; None if it was
        not among them, and so nothing was learned.
        """
        user = situation(self.counts, history, now)
        candidates = self._candidates.for_user(user, self.counts.without(_seen(history)), 0)
        came = candidates[candidates == self.counts.index.get(lesson_id, -1)]
        if not len(came):
            return None
        field = Field([candidates], len(self.counts))
        scoring = score(self._crowd, self.weights, [user], field)
        logs, chances, place = scoring.logs[0], scoring.chances[0], int(field.places(came)[0])
        self.weights.learn(user, logs, chances, place)
        return int((chances > chances[place]).sum()) + 1

    def popularity_rank(self, history: Sequence[Interaction], lesson_id: LessonId) -> int | None:
        """The place, from 1, of a lesson among those the user did not meet, the most met first.

        None if nobody met the lesson.
        """
        index = self.counts.index.get(lesson_id)
        met = self.counts.figures[MET]
        if index is None or met[index] <= 0:
            return None
        indices = self.counts.without([meeting.lesson_id for meeting in history])
        return int((met[indices] > met[index]).sum()) + 1

    def similar(self, lesson_id: LessonId, limit: int, view: View | None = None) -> list[Scored]:
        """Lessons that the same people met near a lesson: cosine of the sums of both directions."""
        index = self.counts.index.get(lesson_id)
        if index is None:
            return []
        others, figures = gather([self.counts.neighbours[index]])
        together = figures[:, FORWARD] + figures[:, BACKWARD]
        met = self.counts.figures[MET]
        scores = together / SHARES / np.sqrt(met[index] * met[others])
        shown = view.mask(len(self.counts))[others] if view else slice(None)
        return best(self.counts.lessons, others[shown], scores[shown], limit, "similar")

    def next(self, lesson_id: LessonId, limit: int, view: View | None = None) -> list[Scored]:
        """Lessons that people met right after a lesson: the share of those who went on there."""
        index = self.counts.index.get(lesson_id)
        if index is None:
            return []
        others, figures = gather([self.counts.transitions[index]])
        went = figures.sum(axis=1)
        scores = went / (went.sum() + SMOOTHING)
        shown = view.mask(len(self.counts))[others] if view else slice(None)
        return best(self.counts.lessons, others[shown], scores[shown], limit, "watched_next")

    def shows(self, lesson_id: LessonId, view: View) -> bool:
        """Whether a lesson may be shown."""
        index = self.counts.index.get(lesson_id)
        return index is not None and bool(view.mask(len(self.counts))[index])

    def popular(
        self,
        window: Window,
        now: float,
        limit: int,
        exclude: Collection[LessonId] = (),
        view: View | None = None,
    ) -> list[Scored]:
        """The lessons most people met: ever, or lately, halved in weight after each window."""
        indices = self.counts.without(exclude, view.mask(len(self.counts)) if view else None)
        if window == "all":
            met = self.counts.figures[MET]
        else:
            met = self.counts.popularity[window].at(now, len(self.counts))
        return best(self.counts.lessons, indices, met[indices], limit)


def _seen(history: Sequence[Interaction], exclude: Collection[LessonId] = ()) -> list[LessonId]:
    return [*(meeting.lesson_id for meeting in history), *exclude]
