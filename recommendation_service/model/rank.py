"""Ranking: score candidates for a user, and take the best.

A score is the model's estimate of the probability that the lesson is the user's next one: the
softmax of the weighted features over the candidates.
"""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Final, Literal, NamedTuple

import numpy as np

from recommendation_service.model.arrays import Floats, Indices, Logs
from recommendation_service.model.columns import Columns
from recommendation_service.model.features import UserContext, features
from recommendation_service.model.popularity import PopularityCache
from recommendation_service.model.weights import Weights
from shared.ids import LessonId

PARTS: Final = 128  # of the scores, each with its own maximum

RankingReason = Literal[
    "watched_together", "popular", "new", "similar", "watched_next", "next_in_course"
]


class RankedLesson(NamedTuple):
    """A lesson, its score (more is better), and the reason why it is ranked."""

    lesson_id: LessonId
    score: float
    reason: RankingReason = "popular"


class Scoring(NamedTuple):
    """The features and probabilities of the lessons in columns, for each user."""

    logs: Logs  # features: [users, features, size]
    probabilities: Logs  # [users, size]; sum to 1 for each user, 0 for non-candidates


def score(
    popularity: PopularityCache, weights: Weights, users: Sequence[UserContext], columns: Columns
) -> Scoring:
    """Score the candidates of users, at one time."""
    logs = features(popularity, users, columns)
    # Unlike a matrix product of BLAS, einsum computes a column in the same way at any position. So
    # lessons with equal features get equal scores on every processor.
    sums = np.einsum("uf,ufn->un", weights.of(users).astype(np.float32), logs)
    sums.put(columns.excluded, -np.inf)
    powers = np.exp(sums - sums.max(axis=1, keepdims=True))
    return Scoring(logs, powers / powers.sum(axis=1, keepdims=True))


def top_k(
    lessons: Sequence[LessonId],
    indices: Indices,
    scores: Floats | Logs,
    limit: int,
    reason: RankingReason = "popular",
) -> list[RankedLesson]:
    """The lessons with the highest scores, at most `limit`, best first; equal scores by lesson id.

    `scores` belong to `indices`, and those to `lessons`.
    """
    if limit < len(scores):
        high = np.flatnonzero(scores >= _threshold(scores, limit))
        indices, scores = indices.take(high), scores.take(high)
    pairs: Iterable[tuple[int, float]] = zip(indices.tolist(), scores.tolist(), strict=True)
    scored = [RankedLesson(lessons[index], value, reason) for index, value in pairs]
    return sorted(scored, key=lambda one: (-one.score, one.lesson_id))[:limit]


def _threshold(scores: Floats | Logs, limit: int) -> float:
    """A score that at least `limit` of the scores reach, but not many more."""
    if not limit:
        return inf
    # The maxima of the parts are few and quickly found, and `limit` of them reach it already.
    length = len(scores) // PARTS
    parts = scores[: length * PARTS].reshape(length, PARTS).max(axis=0) if length else scores
    parts = parts if len(parts) >= limit else scores
    return float(np.partition(parts, -limit)[-limit])
