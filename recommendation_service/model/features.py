"""Features: the evidence for each candidate, as logarithms of smoothed shares.

Most features are shares (`smoothing.py`): of all lessons in recent interactions of everybody
(`popularity.py`), and of the candidates in what users went on to from the user's own lessons
(`cooccurrence.py`). "start" counts only for users without a known lesson. The last two features
say how old a lesson is, and how often the user passed it by.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from recommendation_service.model.arrays import Floats, Logs
from recommendation_service.model.columns import Columns
from recommendation_service.model.cooccurrence import FAR_LESSONS, SUMS, Cooccurrence
from recommendation_service.model.counts import Counts, Figure
from recommendation_service.model.history import Interaction
from recommendation_service.model.popularity import SHARES, START, Popularity, PopularityCache
from recommendation_service.model.smoothing import SMOOTHING, smooth, take_logs

NAMES: Final = (*SHARES, *SUMS, "path", "age", "passed")
TOGETHER, PATH, AGE, PASSED_BY = map(NAMES.index, ("together", "path", "age", "passed"))
POPULAR: Final = slice(len(SHARES))
LESSON_BASED: Final = slice(POPULAR.stop, AGE)
SUMMED: Final = slice(POPULAR.stop, PATH)

MAX_ACTIVE_TIMES: Final = 8  # latest times that "passed" looks at
_PASSED: Final = np.cumsum([0.0, *(-0.5 / sqrt(k) for k in range(1, MAX_ACTIVE_TIMES + 1))])


class UserContext(NamedTuple):
    """What the model needs to know about a user at a time."""

    now: float
    recent: tuple[int, ...]  # indices of the latest lessons, latest first, within FAR_LESSONS
    times: Floats  # when the user was last active, oldest first, within MAX_ACTIVE_TIMES
    pause: float  # seconds since then
    history_length: int  # interactions
    continuations: float  # how often users went on from the latest lesson


def user_context(counts: Counts, history: Sequence[Interaction], now: float) -> UserContext:
    """The context of a user with a history, oldest first; lessons without an index are left out."""
    latest = history[: -FAR_LESSONS - 1 : -1]
    recent = [counts.index.get(interaction.lesson_id, -1) for interaction in latest]
    times = np.array([interaction.at for interaction in history[-MAX_ACTIVE_TIMES:]])
    known = tuple(index for index in recent if index >= 0)
    pause = now - history[-1].at if history else 0.0
    continuations = counts.continuations(known[0]) if known else 0.0
    return UserContext(now, known, times, pause, len(history), continuations)


def features(popularity: PopularityCache, users: Sequence[UserContext], columns: Columns) -> Logs:
    """The features of the lessons in columns, for users at one time: [users, features, size]."""
    now = users[0].now
    popular = popularity.of(columns, now)
    logs = np.empty((len(users), len(NAMES), columns.size), np.float32)
    logs[:, POPULAR], logs[:, AGE] = popular.shares, popular.age
    recents = [user.recent for user in users]
    if any(recents):
        logs[[bool(recent) for recent in recents], START] = 0.0
        _write_shares(Cooccurrence(popularity.counts, recents, now, columns), popular, logs)
    else:
        logs[:, LESSON_BASED] = popular.background
    take_logs(logs[:, LESSON_BASED])
    first_times = columns.take(popularity.counts.figures[Figure.FIRST])
    for user, passed in zip(users, logs[:, PASSED_BY], strict=True):
        _write_passed(user, first_times, passed)
    return logs


def _write_shares(found: Cooccurrence, popular: Popularity, shares: Logs) -> None:
    """Write the smoothed share of each lesson in each co-occurrence feature."""
    for feature, sums in enumerate(found.sums(), SUMMED.start):
        shares[:, feature] = sums
    shares[:, TOGETHER] *= popular.rareness
    support = found.support()
    own = (support / (support + SMOOTHING)).astype(np.float32)
    smooth(shares[:, SUMMED], own, popular.background)
    shares[:, PATH] = found.path(popular.background)


def _write_passed(user: UserContext, first_times: Floats, passed: Logs) -> None:
    """Write a penalty for each time the user was active and did not take an existing lesson."""
    passed[:] = _PASSED[len(user.times)]
    # Most lessons existed before the user was active.
    younger = np.flatnonzero(first_times > user.times[0]) if len(user.times) else ()
    if len(younger):
        earlier = np.searchsorted(user.times, first_times[younger], side="right")
        passed[younger] = _PASSED[len(user.times) - earlier]
