"""Rank: score candidates for a user, and take the best.

A score is the chance that the lesson is the user's next one, as the model sees it: the softmax of
the weighted features over the candidates.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from recommendation_service.model.arrays import Floats, Indices, Logs
from recommendation_service.model.crowd import Crowd
from recommendation_service.model.features import Situation, features
from recommendation_service.model.weights import Weights
from shared.events import LessonId

Reason = Literal["watched_together", "popular", "new", "similar", "watched_next", "next_in_course"]


class Scored(NamedTuple):
    """A lesson, how much speaks for it (more is better), and why it is there."""

    lesson_id: LessonId
    score: float
    reason: Reason = "popular"


class Scoring(NamedTuple):
    """What was found out about each candidate."""

    candidates: Indices  # sorted
    logs: Logs  # the features: [features, candidates]
    chances: Logs  # [candidates]; together 1


def score(crowd: Crowd, weights: Weights, user: Situation, candidates: Indices) -> Scoring:
    """Score candidates, at least one."""
    logs = features(crowd, user, candidates)
    sums = weights.of(user).astype(np.float32) @ logs
    powers = np.exp(sums - sums.max())
    return Scoring(candidates, logs, powers / powers.sum())


def best(
    lessons: Sequence[LessonId],
    indices: Indices,
    scores: Floats | Logs,
    limit: int,
    reason: Reason = "popular",
) -> list[Scored]:
    """The best, at most `limit`, best first; equal ones by lesson, so that it is always the same.

    `scores` belong to `indices`, and those to `lessons`.
    """
    if limit < len(scores):
        least = np.partition(scores, -limit)[-limit] if limit else np.inf
        enough = np.flatnonzero(scores >= least)
        indices, scores = indices[enough], scores[enough]
    pairs: Iterable[tuple[int, float]] = zip(indices.tolist(), scores.tolist(), strict=True)
    scored = [Scored(lessons[index], value, reason) for index, value in pairs]
    return sorted(scored, key=lambda one: (-one.score, one.lesson_id))[:limit]
