"""Eligible lessons: the lessons that one filter lets through."""

from collections.abc import Collection
from itertools import islice

import numpy as np

from recommendation_service.model.arrays import Indices, Mask
from recommendation_service.model.counts import Counts, Figure
from recommendation_service.model.rank import RankedLesson
from shared.ids import LessonId

Label = str | int  # a tag, or the id of a course
Labels = frozenset[Label]


class EligibleLessons:
    """The lessons that one filter lets through."""

    def __init__(self, mask: Mask, unwatched: Indices, new: Indices, *, others: bool) -> None:
        self._mask = mask
        self._others = others  # whether lessons without a description are eligible
        self.unwatched = unwatched  # described, without interactions; in the order to show
        self.new = new  # some of them that are new

    def mask(self, size: int) -> Mask:
        """Which of the first `size` lessons may be shown: [size]."""
        missing = size - len(self._mask)
        if missing > 0:
            self._mask = np.concatenate([self._mask, np.full(missing, self._others)])
        return self._mask

    def new_unwatched(self, counts: Counts, excluded: Collection[LessonId]) -> Indices:
        """New lessons that still have no interactions, and that are not excluded."""
        if not len(self.new):
            return self.new
        is_unwatched = counts.figures[Figure.INTERACTIONS, self.new] <= 0
        known = [counts.index[one] for one in excluded if one in counts.index]
        return np.asarray(self.new[is_unwatched & ~np.isin(self.new, known)])

    def fill_up(
        self, counts: Counts, ranked: list[RankedLesson], excluded: Collection[LessonId], limit: int
    ) -> list[RankedLesson]:
        """Fill a list up to its limit with lessons that have no interactions."""
        missing = limit - len(ranked)
        if missing <= 0 or not len(self.unwatched):
            return ranked
        out = {*excluded, *(one.lesson_id for one in ranked)}
        interactions = counts.figures[Figure.INTERACTIONS]
        unwatched = (counts.lessons[index] for index in self.unwatched if interactions[index] <= 0)
        added = (lesson for lesson in unwatched if lesson not in out)
        return [*ranked, *(RankedLesson(lesson, 0.0, "new") for lesson in islice(added, missing))]
