"""Eligibility: which lessons may be shown, by their descriptions in the catalogue.

Described lessons have an index like those with interactions. A filter is a mask over all indices,
which is kept until a description or the time changes it. So a filter costs a request some
microseconds, however many lessons there are.
"""

from math import inf
from typing import Final, NamedTuple

import numpy as np

from recommendation_service.model.arrays import Indices, Mask
from recommendation_service.model.counts import Counts, Figure
from recommendation_service.model.eligible_lessons import EligibleLessons, Label, Labels
from recommendation_service.model.explore import MAX_NEW, MAX_NEW_AGE
from shared.ids import LessonId

MAX_FILTERS: Final = 100  # filters that are kept at a time
MAX_FILTER_AGE: Final = 3600.0  # seconds
_UNDESCRIBED = np.array([0.0, -inf, inf, inf, inf, 0.0])


class _Attribute:  # rows of the attributes of lessons
    HIDDEN, OPENS, CLOSES, SINCE, ORDER, ID = range(6)


class Description(NamedTuple):
    """Whether, when and where a lesson is shown; times in seconds since 1970."""

    labels: Labels = frozenset()
    order: float = inf  # the place in its course
    hidden: bool = False
    opens: float = -inf
    closes: float = inf
    since: float = -inf  # when it became known


class Eligibility:
    """The descriptions of lessons that have an index in some counts."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._attributes = np.repeat(_UNDESCRIBED[:, None], 64, axis=1)
        self._labels: dict[int, Labels] = {}  # by index
        self._labelled: dict[Label, set[int]] = {}
        self._filters: dict[Labels, EligibleLessons] = {}
        self._valid = (inf, -inf)  # from when until when the filters hold

    def describe(self, lesson_id: LessonId, description: Description) -> None:
        """Set the description of a lesson, in place of any before."""
        index = self._counts.index_of(lesson_id)
        while index >= self._attributes.shape[1]:
            added = np.repeat(_UNDESCRIBED[:, None], self._attributes.shape[1], axis=1)
            self._attributes = np.concatenate([self._attributes, added], axis=1)
        labels, order, hidden, opens, closes, since = description
        self._attributes[:, index] = hidden, opens, closes, since, order, lesson_id
        for label in self._labels.get(index, ()):
            self._labelled[label].discard(index)
        for label in labels:
            self._labelled.setdefault(label, set()).add(index)
        self._labels[index] = labels
        self._filters.clear()

    def eligible(self, labels: Labels, now: float) -> EligibleLessons:
        """The lessons that may be shown at a time and have all of the labels."""
        if not self._valid[0] <= now < self._valid[1] or len(self._filters) >= MAX_FILTERS:
            self._filters.clear()
        eligible = self._filters.get(labels)
        if eligible is None:
            if not self._filters:
                self._valid = now, self._valid_until(now)
            eligible = self._filters[labels] = self._filter(labels, now)
        return eligible

    def _valid_until(self, now: float) -> float:
        times = self._attributes[[_Attribute.OPENS, _Attribute.CLOSES]]
        return float(min(times[times > now].min(initial=inf), now + MAX_FILTER_AGE))

    def _filter(self, labels: Labels, now: float) -> EligibleLessons:
        size = len(self._counts)
        attributes = self._attributes[:, :size]
        mask = np.ones(size, bool)
        known = attributes.shape[1]
        mask[:known] = attributes[_Attribute.HIDDEN] == 0
        mask[:known] &= attributes[_Attribute.OPENS] <= now
        mask[:known] &= now < attributes[_Attribute.CLOSES]
        if labels:
            mask &= self._having(labels, size)
        unwatched = self._unwatched(mask[:known])
        new = unwatched[attributes[_Attribute.SINCE, unwatched] > now - MAX_NEW_AGE]
        newest = new[np.argsort(-attributes[_Attribute.SINCE, new], kind="stable")]
        return EligibleLessons(mask, unwatched, newest[: MAX_NEW // 2], others=not labels)

    def _having(self, labels: Labels, size: int) -> Mask:
        """The lessons that have all of the labels: [size]."""
        least, *others = sorted((self._labelled.get(one, set()) for one in labels), key=len)
        having = np.zeros(size, bool)
        having[list(least.intersection(*others))] = True
        return having

    def _unwatched(self, mask: Mask) -> Indices:
        """Described lessons without interactions, by place in the course, then newest first."""
        since, order, ids = self._attributes[_Attribute.SINCE :, : len(mask)]
        is_watched = self._counts.figures[Figure.INTERACTIONS, : len(mask)] > 0
        some = np.flatnonzero(mask & ~is_watched & (since < inf))
        return np.asarray(some[np.lexsort((ids[some], -since[some], order[some]))])
