"""Explain: how much of a score is due to each lesson that the user met.

A feature that comes from lessons is the logarithm of a sum over them, so each lesson's part in the
sum is its part in the feature; features count by their weight. The parts are scaled to add up to
the score, popularity and age being no lesson's merit.
"""

from typing import NamedTuple

import numpy as np

from recommendation_service.model.arrays import Floats
from recommendation_service.model.counts import (
    BACKWARD,
    FORWARD,
    RECENT,
    Counts,
)
from recommendation_service.model.evidence import BEYOND, NEXT, PREVIOUS, TOGETHER, factors_of
from recommendation_service.model.features import FROM_LESSONS, Situation
from shared.events import LessonId


class Because(NamedTuple):
    """A lesson the user met, and what it adds to a score."""

    lesson_id: LessonId
    contribution: float


def because(counts: Counts, user: Situation, index: int, merits: Floats) -> list[tuple[int, float]]:
    """Each latest lesson that led to a candidate, and its part in that; together the parts are 1.

    `index` is the candidate's, `merits` are its weighted features that come from lessons: [7]. A
    feature that speaks against the candidate explains nothing.
    """
    terms = _terms(counts, user, index)
    totals = terms.sum(axis=1, keepdims=True)
    shares = np.divide(terms, totals, out=np.zeros_like(terms), where=totals > 0)
    parts = np.maximum(merits, 0.0) @ shares
    if not parts.sum() > 0:
        return []
    parts /= parts.sum()
    return [(one, part) for one, part in zip(user.recent, parts.tolist(), strict=True) if part]


def leads(counts: Counts, user: Situation, index: int) -> bool:
    """Whether anybody met a lesson near one of the user's latest lessons."""
    return any(index in counts.neighbours[one] for one in user.recent)


def _terms(counts: Counts, user: Situation, index: int) -> Floats:
    """What each latest lesson adds to each feature from lessons, for a candidate: [7, recent].

    The way that a path ends is put down to the latest lesson, where it starts for all of them.
    """
    latest = counts.transitions[user.recent[0]].read(index)
    figures = np.array([counts.neighbours[one].read(index) for one in user.recent]).T
    factors = factors_of(counts.figures[:, list(user.recent)], user.now)
    terms = np.zeros((len(FROM_LESSONS), len(user.recent)))
    terms[0] = factors[NEXT] * figures[RECENT]
    terms[1] = factors[PREVIOUS] * figures[BACKWARD]
    terms[2, 0], terms[3, 0] = latest
    terms[4] = factors[BEYOND] * figures[FORWARD]
    terms[5] = factors[TOGETHER] * (figures[FORWARD] + figures[BACKWARD])
    terms[6, 0] = sum(latest)
    return terms
