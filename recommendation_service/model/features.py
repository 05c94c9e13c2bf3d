"""Features: what speaks for each candidate, as logarithms of smoothed shares, and a few times.

Most features are shares in some count (`shares.py`): of all lessons in what everybody met lately
(`crowd.py`), of the candidates in what people went on to from the user's lessons (`evidence.py`).
What users start with counts only for those who are about to. The last two say how old a lesson is,
and how often the user passed it by.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from recommendation_service.model.arrays import Floats, Logs
from recommendation_service.model.columns import Field
from recommendation_service.model.cooccurrence import FAR, Evidence
from recommendation_service.model.counts import FIRST, Counts
from recommendation_service.model.history import Interaction
from recommendation_service.model.popularity import Crowd, Popularity
from recommendation_service.model.smoothing import SMOOTHING, smooth, take_logs

FROM_POPULARITY: Final = ("popular_hour", "popular_day", "popular_week", "start")
FROM_LESSONS: Final = ("next", "previous", "in_session", "new_session", "far", "together", "path")
NAMES: Final = (*FROM_POPULARITY, *FROM_LESSONS, "age", "passed")
START = FROM_POPULARITY.index("start")
TOGETHER, PATH, AGE, PASSED_BY = range(len(NAMES) - 4, len(NAMES))
POPULAR: Final = slice(len(FROM_POPULARITY))
LESSON_BASED: Final = slice(len(FROM_POPULARITY), AGE)
SUMMED: Final = slice(len(FROM_POPULARITY), PATH)
ACTIVE: Final = 8  # latest times that "passed" looks at

PASSED: Final = np.cumsum([0.0, *(-0.5 / sqrt(rank) for rank in range(1, ACTIVE + 1))])


class Situation(NamedTuple):
    """A user at a time, as far as the model cares."""

    now: float
    recent: tuple[int, ...]  # indices of the latest lessons, latest first, within FAR
    times: Floats  # when the user was last active, oldest first, within ACTIVE
    pause: float  # seconds since then
    length: int  # lessons met
    ways: float  # how often people went on from the latest lesson


def situation(counts: Counts, history: Sequence[Interaction], now: float) -> Situation:
    """What the model needs to know about a user; lessons it does not know are left out."""
    recent = [counts.index.get(meeting.lesson_id, -1) for meeting in history[: -FAR - 1 : -1]]
    times = np.array([meeting.at for meeting in history[-ACTIVE:]])
    known = tuple(index for index in recent if index >= 0)
    pause = now - history[-1].at if history else 0.0
    return Situation(
        now, known, times, pause, len(history), counts.ways(known[0]) if known else 0.0
    )


def features(crowd: Crowd, users: Sequence[Situation], field: Field) -> Logs:
    """The features of the lessons of a field, for users at one time: [users, features, size]."""
    now = users[0].now
    popular = crowd.of(field, now)
    logs = np.empty((len(users), len(NAMES), field.size), np.float32)
    logs[:, POPULAR], logs[:, AGE] = popular.shares, popular.age
    recents = [user.recent for user in users]
    if any(recents):
        logs[[bool(recent) for recent in recents], START] = 0.0
        _write_shares(Evidence(crowd.counts, recents, now, field), popular, logs)
    else:
        logs[:, LESSON_BASED] = popular.background
    take_logs(logs[:, LESSON_BASED])
    first = field.pick(crowd.counts.figures[FIRST])
    for user, passed in zip(users, logs[:, PASSED_BY], strict=True):
        _write_passed(user, first, passed)
    return logs


def _write_shares(found: Evidence, popular: Popularity, shares: Logs) -> None:
    """Write the share of each lesson in what speaks for it from the latest lessons of users."""
    for feature, sums in enumerate(found.sums(), SUMMED.start):
        shares[:, feature] = sums
    shares[:, TOGETHER] *= popular.rareness
    masses = found.masses()
    own = (masses / (masses + SMOOTHING)).astype(np.float32)
    smooth(shares[:, SUMMED], own, popular.background)
    shares[:, PATH] = found.path(popular.background)


def _write_passed(user: Situation, first: Floats, passed: Logs) -> None:
    """Write how often the user was there and did not take a lesson that was first met then."""
    passed[:] = PASSED[len(user.times)]
    # Most lessons were there before the user was.
    younger = np.flatnonzero(first > user.times[0]) if len(user.times) else ()
    if len(younger):
        earlier = np.searchsorted(user.times, first[younger], side="right")
        passed[younger] = PASSED[len(user.times) - earlier]
