"""Batch ranking: the best lessons for several users, computed together.

Each step of scoring costs about as much to call as to compute for one user. So users who ask at the
same time are scored in the same steps, where all lessons are scored (`columns.py`).
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from recommendation_service.model.arrays import Indices, Logs, Mask, union
from recommendation_service.model.candidates import Candidates
from recommendation_service.model.columns import Columns, scores_all
from recommendation_service.model.counts import Counts
from recommendation_service.model.explain import with_reasons
from recommendation_service.model.explore import (
    ANONYMOUS_RECIPIENT,
    Recipient,
    are_new,
    new_lessons,
    with_new_lessons,
)
from recommendation_service.model.features import UserContext, user_context
from recommendation_service.model.history import Interaction
from recommendation_service.model.popularity import PopularityCache
from recommendation_service.model.rank import RankedLesson, score, top_k
from recommendation_service.model.weights import Weights
from shared.ids import LessonId

MAX_BATCH: Final = 8  # users who are scored together: their features fit into a processor's cache


class RankingRequest(NamedTuple):
    """A request for a list of lessons."""

    history: Sequence[Interaction]  # the user's own, oldest first
    limit: int
    exclude: Collection[LessonId] = ()
    recipient: Recipient = ANONYMOUS_RECIPIENT


class RankingPlan(NamedTuple):
    """The input of the ranking for one request."""

    request: RankingRequest
    user: UserContext
    seen: list[LessonId]  # lessons that are not listed
    candidates: Indices  # sorted
    new: Indices  # new lessons among them that get a share of the places


class BatchRanker:
    """Ranks the lessons of several requests together."""

    def __init__(self, counts: Counts, popularity: PopularityCache, candidates: Candidates) -> None:
        self._counts = counts
        self._popularity = popularity
        self._candidates = candidates

    def rank(
        self, weights: Weights, requests: Sequence[RankingRequest], now: float
    ) -> list[list[RankedLesson]]:
        """The list for each request at a time, best first; see `Model.recommend`."""
        new = are_new(self._counts, now)
        plans = [self._plan(request, new, now) for request in requests]
        ranked: list[list[RankedLesson]] = [[] for _ in plans]
        for batch in self._batches(plans):
            some = [plans[number] for number in batch]
            columns = Columns([plan.candidates for plan in some], len(self._counts))
            scoring = score(self._popularity, weights, [plan.user for plan in some], columns)
            for number, probabilities in zip(batch, scoring.probabilities, strict=True):
                ranked[number] = self._top(plans[number], columns, probabilities, new)
        return [self._filled(plan, found) for plan, found in zip(plans, ranked, strict=True)]

    def _plan(self, request: RankingRequest, new: Mask, now: float) -> RankingPlan:
        counts, size = self._counts, len(self._counts)
        history, limit, exclude, recipient = request
        eligible = recipient.eligible
        seen = [*(interaction.lesson_id for interaction in history), *exclude]
        unseen = counts.watched(seen, eligible.mask(size) if eligible else None)
        unwatched = eligible.new_unwatched(counts, seen) if eligible else unseen[:0]
        possible = np.concatenate([unseen, unwatched]) if len(unwatched) else unseen
        chosen = new_lessons(counts, recipient, now, limit, possible[new[possible]])
        user = user_context(counts, history, now)
        candidates = self._candidates.for_user(user, unseen, limit)
        if len(chosen) and 0 < len(candidates) < len(possible):
            candidates = union(candidates, chosen, size)
        return RankingPlan(request, user, seen, candidates, chosen)

    def _batches(self, plans: Sequence[RankingPlan]) -> Iterator[list[int]]:
        """The numbers of plans that share columns, without plans that have no candidates."""
        size = len(self._counts)
        some = [number for number, plan in enumerate(plans) if len(plan.candidates)]
        whole = [number for number in some if scores_all(plans[number].candidates, size)]
        yield from (whole[start : start + MAX_BATCH] for start in range(0, len(whole), MAX_BATCH))
        yield from ([number] for number in some if number not in whole)

    def _top(
        self, plan: RankingPlan, columns: Columns, scores: Logs, new: Mask
    ) -> list[RankedLesson]:
        """The best candidates, and the new lessons of the plan."""
        counts, candidates, limit = self._counts, plan.candidates, plan.request.limit
        ranked = top_k(counts.lessons, candidates, scores.take(columns.of(candidates)), limit)
        new_scores = scores.take(columns.of(plan.new))
        chosen = top_k(counts.lessons, plan.new, new_scores, len(plan.new))
        ranked = with_new_lessons(counts, ranked, chosen, new)
        return with_reasons(counts, plan.user, ranked)

    def _filled(self, plan: RankingPlan, ranked: list[RankedLesson]) -> list[RankedLesson]:
        eligible, limit = plan.request.recipient.eligible, plan.request.limit
        return eligible.fill_up(self._counts, ranked, plan.seen, limit) if eligible else ranked
