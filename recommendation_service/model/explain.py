"""Explanations: why a lesson is ranked, and how much of its score is due to each watched lesson.

A co-occurrence feature is the logarithm of a sum over the user's lessons, so a lesson's share of
the sum is its share of the feature, and features count by their weight. The parts are scaled to add
up to the score, as popularity and age are due to no lesson.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from recommendation_service.model.arrays import Floats
from recommendation_service.model.cooccurrence import SUMS, Factor, factors_of
from recommendation_service.model.counts import Counts, Figure
from recommendation_service.model.features import UserContext
from recommendation_service.model.rank import RankedLesson
from recommendation_service.model.sparse_rows import SparseRow
from shared.ids import LessonId


class Influence(NamedTuple):
    """A lesson that the user watched, and its influence on a score."""

    lesson_id: LessonId
    contribution: float


def influences(
    counts: Counts, user: UserContext, scored: RankedLesson, weighted_features: Floats | None
) -> list[Influence]:
    """The influence of each latest lesson on a score, the largest first, without zeros.

    The co-occurrence features of the scored lesson come times their weights: [7]; None for a lesson
    without an index. A feature that speaks against the lesson explains nothing.
    """
    if weighted_features is None:
        return []
    terms = _terms(counts, user, counts.index[scored.lesson_id])
    totals = terms.sum(axis=1, keepdims=True)
    shares = np.divide(terms, totals, out=np.zeros_like(terms), where=totals > 0)
    parts = np.maximum(weighted_features, 0.0) @ shares
    if not parts.sum() > 0:
        return []
    parts *= scored.score / parts.sum()
    found = [
        Influence(counts.lessons[index], part)
        for index, part in zip(user.recent, parts.tolist(), strict=True)
        if part
    ]
    return sorted(found, key=lambda one: (-one.contribution, one.lesson_id))


def with_reasons(
    counts: Counts, user: UserContext, ranked: Sequence[RankedLesson]
) -> list[RankedLesson]:
    """Set reasons: new, or watched together with one of the user's latest lessons."""
    near = [counts.neighbours[index] for index in user.recent]
    indices = [counts.index[one.lesson_id] for one in ranked]
    interactions = counts.figures[Figure.INTERACTIONS, indices].tolist()
    reasoned = []
    for one, index, times in zip(ranked, indices, interactions, strict=True):
        if one.reason == "new" or not times:
            reasoned.append(RankedLesson(one.lesson_id, one.score, "new"))
        elif _is_in_any(near, index):
            reasoned.append(RankedLesson(one.lesson_id, one.score, "watched_together"))
        else:
            reasoned.append(one)
    return reasoned


def _is_in_any(rows: Sequence[SparseRow], index: int) -> bool:
    for row in rows:  # noqa: SIM110 - quicker than `any`, for a few rows
        if index in row:
            return True
    return False


def _terms(counts: Counts, user: UserContext, index: int) -> Floats:
    """The part of each latest lesson in each co-occurrence feature of a candidate: [7, recent].

    A path is attributed to the latest lesson, where every continuation starts.
    """
    latest = counts.transitions[user.recent[0]].get(index)
    values = np.array([counts.neighbours[one].get(index) for one in user.recent]).T
    recent, forward, backward = values
    factors = factors_of(counts.figures[:, list(user.recent)], range(len(user.recent)), user.now)
    terms = np.zeros((len(SUMS) + 1, len(user.recent)))
    terms[0] = factors[Factor.NEXT] * recent
    terms[1] = factors[Factor.PREVIOUS] * backward
    terms[2, 0], terms[3, 0] = latest
    terms[4] = factors[Factor.FAR] * forward
    terms[5] = factors[Factor.TOGETHER] * (forward + backward)
    terms[6, 0] = sum(latest)
    return terms
