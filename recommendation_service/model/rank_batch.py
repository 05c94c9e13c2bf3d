"""Lists: the best lessons for users, worked out for several of them together.

Each step of the scoring costs about as much to call as to carry out for one user. So users who ask
at the same time are scored in the same steps, where all lessons are scored (`field.py`).
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from recommendation_service.model.arrays import Indices, Logs, Mask, union
from recommendation_service.model.candidates import Candidates
from recommendation_service.model.columns import Field, are_most
from recommendation_service.model.counts import Counts
from recommendation_service.model.eligible import filled, young_among
from recommendation_service.model.explain import with_reasons
from recommendation_service.model.explore import (
    NOBODY,
    Visitor,
    are_new,
    newcomers,
    with_newcomers,
)
from recommendation_service.model.features import Situation, situation
from recommendation_service.model.history import Interaction
from recommendation_service.model.popularity import Crowd
from recommendation_service.model.rank import Scored, best, score
from recommendation_service.model.weights import Weights
from shared.ids import LessonId

TOGETHER: Final = 8  # users who are scored together: their figures fit into a processor's cache


class Wanted(NamedTuple):
    """A list that is wanted."""

    history: Sequence[Interaction]  # the user's own, oldest first
    limit: int
    exclude: Collection[LessonId] = ()
    visitor: Visitor = NOBODY


class Draft(NamedTuple):
    """What a list is made from."""

    wanted: Wanted
    user: Situation
    seen: list[LessonId]  # what is not to be on it
    candidates: Indices  # sorted
    new: Indices  # those of them that get a share of the places, being new


class Lists:
    """Makes lists from counts and from what speaks for lessons, whoever is asking."""

    def __init__(self, counts: Counts, crowd: Crowd, candidates: Candidates) -> None:
        self._counts = counts
        self._crowd = crowd
        self._candidates = candidates

    def of(self, weights: Weights, wanted: Sequence[Wanted], now: float) -> list[list[Scored]]:
        """The lists at a time, each best first; see `Model.recommend`."""
        new = are_new(self._counts, now)
        drafts = [self._draft(one, new, now) for one in wanted]
        ranked: list[list[Scored]] = [[] for _ in drafts]
        for portion in self._portions(drafts):
            some = [drafts[number] for number in portion]
            field = Field([one.candidates for one in some], len(self._counts))
            scoring = score(self._crowd, weights, [one.user for one in some], field)
            for number, chances in zip(portion, scoring.chances, strict=True):
                ranked[number] = self._ranked(drafts[number], field, chances, new)
        return [self._filled(one, found) for one, found in zip(drafts, ranked, strict=True)]

    def _draft(self, wanted: Wanted, new: Mask, now: float) -> Draft:
        counts, size = self._counts, len(self._counts)
        history, limit, exclude, visitor = wanted
        seen = [*(meeting.lesson_id for meeting in history), *exclude]
        unseen = counts.without(seen, visitor.view.mask(size) if visitor.view else None)
        young = young_among(counts, visitor.view, seen)
        eligible = np.concatenate([unseen, young]) if len(young) else unseen
        chosen = newcomers(counts, visitor, now, limit, eligible[new[eligible]])
        user = situation(counts, history, now)
        candidates = self._candidates.for_user(user, unseen, limit)
        if len(chosen) and 0 < len(candidates) < len(eligible):
            candidates = union(candidates, chosen, size)
        return Draft(wanted, user, seen, candidates, chosen)

    def _portions(self, drafts: Sequence[Draft]) -> Iterator[list[int]]:
        """Which drafts share a field; those without candidates are left out."""
        size = len(self._counts)
        some = [number for number, draft in enumerate(drafts) if len(draft.candidates)]
        most = [number for number in some if are_most(drafts[number].candidates, size)]
        yield from (most[start : start + TOGETHER] for start in range(0, len(most), TOGETHER))
        yield from ([number] for number in some if number not in most)

    def _ranked(self, draft: Draft, field: Field, chances: Logs, new: Mask) -> list[Scored]:
        """The best of the candidates, and some of those that are new."""
        counts, wanted, candidates = self._counts, draft.wanted, draft.candidates
        scores = chances.take(field.places(candidates))
        ranked = best(counts.lessons, candidates, scores, wanted.limit)
        scores = chances.take(field.places(draft.new))
        chosen = best(counts.lessons, draft.new, scores, len(draft.new))
        ranked = with_newcomers(counts, ranked, chosen, new)
        return with_reasons(counts, draft.user, ranked)

    def _filled(self, draft: Draft, ranked: list[Scored]) -> list[Scored]:
        view, limit = draft.wanted.visitor.view, draft.wanted.limit
        return filled(self._counts, ranked, view, draft.seen, limit) if view else ranked
