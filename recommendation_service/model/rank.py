"""Rank: score candidates for a user, and take the best.

A score is the chance that the lesson is the user's next one, as the model sees it: the softmax of
the weighted features over the candidates.
"""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Final, Literal, NamedTuple

import numpy as np

from recommendation_service.model.arrays import Floats, Indices, Logs
from recommendation_service.model.columns import Field
from recommendation_service.model.features import Situation, features
from recommendation_service.model.popularity import Crowd
from recommendation_service.model.weights import Weights
from shared.ids import LessonId

PARTS: Final = 128  # into which scores are divided to find the best

Reason = Literal["watched_together", "popular", "new", "similar", "watched_next", "next_in_course"]


class Scored(NamedTuple):
    """A lesson, how much speaks for it (more is better), and why it is there."""

    lesson_id: LessonId
    score: float
    reason: Reason = "popular"


class Scoring(NamedTuple):
    """What was found out about the lessons of a field for each user."""

    logs: Logs  # the features: [users, features, size]
    chances: Logs  # [users, size]; of each user together 1, and 0 for what is no candidate


def score(crowd: Crowd, weights: Weights, users: Sequence[Situation], field: Field) -> Scoring:
    """Score the candidates of users, at one time."""
    logs = features(crowd, users, field)
    # Unlike a matrix product of BLAS, it computes every column in the same way, wherever it stands:
    # lessons with equal features get equal scores on every processor.
    sums = np.einsum("uf,ufn->un", weights.of(users).astype(np.float32), logs)
    sums.put(field.out, -np.inf)
    powers = np.exp(sums - sums.max(axis=1, keepdims=True))
    return Scoring(logs, powers / powers.sum(axis=1, keepdims=True))


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
        enough = np.flatnonzero(scores >= _least(scores, limit))
        indices, scores = indices.take(enough), scores.take(enough)
    pairs: Iterable[tuple[int, float]] = zip(indices.tolist(), scores.tolist(), strict=True)
    scored = [Scored(lessons[index], value, reason) for index, value in pairs]
    return sorted(scored, key=lambda one: (-one.score, one.lesson_id))[:limit]


def _least(scores: Floats | Logs, limit: int) -> float:
    """A score that at least `limit` of the scores reach, and not many more."""
    if not limit:
        return inf
    # The best of each part are few, and quickly found; so many of them reach it already.
    length = len(scores) // PARTS
    parts = scores[: length * PARTS].reshape(length, PARTS).max(axis=0) if length else scores
    parts = parts if len(parts) >= limit else scores
    return float(np.partition(parts, -limit)[-limit])
