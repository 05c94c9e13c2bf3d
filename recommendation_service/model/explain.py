"""Explain: why a lesson is there, and how much of its score is due to each lesson the user met.

A feature that comes from lessons is the logarithm of a sum over them, so each lesson's part in the
sum is its part in the feature; features count by their weight. The parts are scaled to add up to
the score, popularity and age being no lesson's merit.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from recommendation_service.model.arrays import Floats
from recommendation_service.model.cooccurrence import BEYOND, NEXT, PREVIOUS, TOGETHER, factors_of
from recommendation_service.model.counts import (
    BACKWARD,
    FORWARD,
    MET,
    RECENT,
    Counts,
)
from recommendation_service.model.features import FROM_LESSONS, Situation
from recommendation_service.model.rank import Scored
from recommendation_service.model.sparse_rows import Row
from shared.ids import LessonId


class Because(NamedTuple):
    """A lesson the user met, and what it adds to a score."""

    lesson_id: LessonId
    contribution: float


def because(
    counts: Counts, user: Situation, scored: Scored, merits: Floats | None
) -> list[Because]:
    """What each latest lesson that led to a lesson adds to its score, the largest first.

    `merits` are its weighted features that come from lessons: [7]; None if nobody knows it. A
    feature that speaks against the lesson explains nothing.
    """
    if merits is None:
        return []
    terms = _terms(counts, user, counts.index[scored.lesson_id])
    totals = terms.sum(axis=1, keepdims=True)
    shares = np.divide(terms, totals, out=np.zeros_like(terms), where=totals > 0)
    parts = np.maximum(merits, 0.0) @ shares
    if not parts.sum() > 0:
        return []
    parts *= scored.score / parts.sum()
    led = [
        Because(counts.lessons[one], part)
        for one, part in zip(user.recent, parts.tolist(), strict=True)
        if part
    ]
    return sorted(led, key=lambda reason: (-reason.contribution, reason.lesson_id))


def with_reasons(counts: Counts, user: Situation, ranked: Sequence[Scored]) -> list[Scored]:
    """Say of each lesson whether people met it near one of the user's latest lessons."""
    near = [counts.neighbours[one] for one in user.recent]
    met = counts.figures[MET, [counts.index[one.lesson_id] for one in ranked]].tolist()
    reasoned = []
    for one, times in zip(ranked, met, strict=True):
        if one.reason == "new" or not times:
            reasoned.append(Scored(one.lesson_id, one.score, "new"))
        elif _is_in_any(near, counts.index[one.lesson_id]):
            reasoned.append(Scored(one.lesson_id, one.score, "watched_together"))
        else:
            reasoned.append(one)
    return reasoned


def _is_in_any(rows: Sequence[Row], index: int) -> bool:
    for row in rows:  # noqa: SIM110 - quicker than `any`, for a few rows
        if index in row:
            return True
    return False


def _terms(counts: Counts, user: Situation, index: int) -> Floats:
    """What each latest lesson adds to each feature from lessons, for a candidate: [7, recent].

    The way that a path ends is put down to the latest lesson, where it starts for all of them.
    """
    latest = counts.transitions[user.recent[0]].read(index)
    figures = np.array([counts.neighbours[one].read(index) for one in user.recent]).T
    factors = factors_of(counts.figures[:, list(user.recent)], range(len(user.recent)), user.now)
    terms = np.zeros((len(FROM_LESSONS), len(user.recent)))
    terms[0] = factors[NEXT] * figures[RECENT]
    terms[1] = factors[PREVIOUS] * figures[BACKWARD]
    terms[2, 0], terms[3, 0] = latest
    terms[4] = factors[BEYOND] * figures[FORWARD]
    terms[5] = factors[TOGETHER] * (figures[FORWARD] + figures[BACKWARD])
    terms[6, 0] = sum(latest)
    return terms
