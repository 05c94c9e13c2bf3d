"""View: the lessons that one filter lets through."""

from collections.abc import Collection
from itertools import islice

import numpy as np

from recommendation_service.model.arrays import Indices, Mask
from recommendation_service.model.counts import MET, Counts
from recommendation_service.model.rank import Scored
from shared.ids import LessonId

Label = str | int  # a tag, or the id of a course
Labels = frozenset[Label]


class View:
    """The lessons that one filter lets through."""

    def __init__(self, mask: Mask, unmet: Indices, young: Indices, *, others: bool) -> None:
        self._mask = mask
        self._others = others  # whether it lets through what nobody described
        self.unmet = unmet  # described lessons that nobody met, in the order to show them
        self.young = young  # some of them that are new

    def mask(self, size: int) -> Mask:
        """Which of the first `size` lessons may be shown: [size]."""
        missing = size - len(self._mask)
        if missing > 0:
            self._mask = np.concatenate([self._mask, np.full(missing, self._others)])
        return self._mask


def young_among(counts: Counts, view: View | None, excluded: Collection[LessonId]) -> Indices:
    """New lessons of the view that still nobody met, and that are not excluded."""
    if view is None or not len(view.young):
        return np.zeros(0, np.int64)
    unmet = counts.figures[MET, view.young] <= 0
    out = [counts.index[one] for one in excluded if one in counts.index]
    return np.asarray(view.young[unmet & ~np.isin(view.young, out)])


def filled(
    counts: Counts, ranked: list[Scored], view: View, excluded: Collection[LessonId], limit: int
) -> list[Scored]:
    """Put lessons that nobody met where a list has places left, so that it is not empty."""
    missing = limit - len(ranked)
    if missing <= 0 or not len(view.unmet):
        return ranked
    out = {*excluded, *(one.lesson_id for one in ranked)}
    unmet = (int(index) for index in view.unmet if counts.figures[MET, index] <= 0)
    fresh = (lesson for lesson in map(counts.lessons.__getitem__, unmet) if lesson not in out)
    return [*ranked, *(Scored(lesson, 0.0, "new") for lesson in islice(fresh, missing))]
