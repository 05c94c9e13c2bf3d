"""Offer: which lessons may be shown, by what a catalogue says of them.

Lessons that a catalogue describes have an index like those that somebody met. What a filter lets
through is a mask over all indices, and is kept until a description or the time changes it. So a
filter costs a request some microseconds, however many lessons there are.
"""

from math import inf
from typing import Final, NamedTuple

import numpy as np

from recommendation_service.model.arrays import Indices, Mask
from recommendation_service.model.counts import MET, Counts
from recommendation_service.model.eligible import Label, Labels, View
from recommendation_service.model.explore import NEWEST, YOUTH
from shared.ids import LessonId

KEPT: Final = 100  # views that are kept at a time
LASTING: Final = 3600.0  # seconds that a view is kept, at most
HIDDEN, OPENS, CLOSES, SINCE, ORDER, ID = range(6)

_UNDESCRIBED = np.array([0.0, -inf, inf, inf, inf, 0.0])


class Description(NamedTuple):
    """What decides whether, when and where a lesson is shown; times in seconds since 1970."""

    labels: Labels = frozenset()
    order: float = inf  # the place in its course
    hidden: bool = False
    opens: float = -inf
    closes: float = inf
    since: float = -inf  # when it became known


class Offer:
    """What the catalogue says of the lessons of some counts."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._columns = np.repeat(_UNDESCRIBED[:, None], 64, axis=1)
        self._labels: dict[int, Labels] = {}  # by index
        self._labelled: dict[Label, set[int]] = {}
        self._views: dict[Labels, View] = {}
        self._valid = (inf, -inf)  # from when until when the views hold

    def describe(self, lesson_id: LessonId, description: Description) -> None:
        """Take over a description; it replaces what was said of the lesson before."""
        index = self._counts.index_of(lesson_id)
        while index >= self._columns.shape[1]:
            more = np.repeat(_UNDESCRIBED[:, None], self._columns.shape[1], axis=1)
            self._columns = np.concatenate([self._columns, more], axis=1)
        labels, order, hidden, opens, closes, since = description
        self._columns[:, index] = hidden, opens, closes, since, order, lesson_id
        for label in self._labels.get(index, ()):
            self._labelled[label].discard(index)
        for label in labels:
            self._labelled.setdefault(label, set()).add(index)
        self._labels[index] = labels
        self._views.clear()

    def view(self, labels: Labels, now: float) -> View:
        """The lessons that may be shown at a time and have all of the labels."""
        if not self._valid[0] <= now < self._valid[1] or len(self._views) >= KEPT:
            self._views.clear()
        view = self._views.get(labels)
        if view is None:
            if not self._views:
                self._valid = now, self._holds_until(now)
            view = self._views[labels] = self._look(labels, now)
        return view

    def _holds_until(self, now: float) -> float:
        times = self._columns[[OPENS, CLOSES]]
        return float(min(times[times > now].min(initial=inf), now + LASTING))

    def _look(self, labels: Labels, now: float) -> View:
        size = len(self._counts)
        columns = self._columns[:, :size]
        mask = np.ones(size, bool)
        known = columns.shape[1]
        mask[:known] = (columns[HIDDEN] == 0) & (columns[OPENS] <= now) & (now < columns[CLOSES])
        if labels:
            mask &= self._having(labels, size)
        unmet = self._unmet(mask[:known])
        young = unmet[columns[SINCE, unmet] > now - YOUTH]
        newest = young[np.argsort(-columns[SINCE, young], kind="stable")]
        return View(mask, unmet, newest[: NEWEST // 2], others=not labels)

    def _having(self, labels: Labels, size: int) -> Mask:
        """The lessons that have all of the labels: [size]."""
        least, *others = sorted((self._labelled.get(one, set()) for one in labels), key=len)
        having = np.zeros(size, bool)
        having[list(least.intersection(*others))] = True
        return having

    def _unmet(self, mask: Mask) -> Indices:
        """Described lessons that nobody met: the first of a course first, of equal ones newer."""
        since, order, ids = self._columns[[SINCE, ORDER, ID], : len(mask)]
        met = self._counts.figures[MET, : len(mask)] > 0
        unmet = np.flatnonzero(mask & ~met & (since < inf))
        return np.asarray(unmet[np.lexsort((ids[unmet], -since[unmet], order[unmet]))])
