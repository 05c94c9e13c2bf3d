"""Features: what speaks for each candidate, as logarithms of smoothed shares, and a few times.

Most features are shares of the candidates in some count, mixed with a background of what is popular
where the count rests on little (Dirichlet smoothing). What users start with counts only for those
who are about to. The last two say how old a lesson is, and how often the user passed it by.
"""

from collections.abc import Sequence
from math import log, sqrt
from typing import Final, NamedTuple

import numpy as np

from recommendation_service.model.arrays import Floats, Indices, Logs
from recommendation_service.model.counts import FIRST, MET, Counts
from recommendation_service.model.evidence import DAMPING, FAR, Evidence
from recommendation_service.model.history import Meeting

FROM_POPULARITY: Final = ("popular_hour", "popular_day", "popular_week", "start")
FROM_LESSONS: Final = ("next", "previous", "in_session", "new_session", "far", "together", "path")
NAMES: Final = (*FROM_POPULARITY, *FROM_LESSONS, "age", "passed")
WEEK, START = 2, 3  # where these are
TOGETHER, PATH, AGE, PASSED_BY = range(len(NAMES) - 4, len(NAMES))
LESSON_BASED: Final = slice(len(FROM_POPULARITY), AGE)
SUMMED: Final = slice(len(FROM_POPULARITY), PATH)
ACTIVE: Final = 8  # latest times that "passed" looks at

SMOOTHING: Final = 3.0  # meetings that the background is worth
FLOOR: Final = 1e-3  # a share far below this counts as none
PASSED: Final = np.cumsum([0.0, *(-0.5 / sqrt(rank) for rank in range(1, ACTIVE + 1))])
SHORT: Final = 600.0  # seconds of age


class Situation(NamedTuple):
    """A user at a time, as far as the model cares."""

    now: float
    recent: tuple[int, ...]  # indices of the latest lessons, latest first, within FAR
    times: Floats  # when the user was last active, oldest first, within ACTIVE
    pause: float  # seconds since then
    length: int  # lessons met
    ways: float  # how often people went on from the latest lesson


def situation(counts: Counts, history: Sequence[Meeting], now: float) -> Situation:
    """What the model needs to know about a user; lessons it does not know are left out."""
    recent = [counts.index.get(meeting.lesson_id, -1) for meeting in history[: -FAR - 1 : -1]]
    times = np.array([meeting.at for meeting in history[-ACTIVE:]])
    known = tuple(index for index in recent if index >= 0)
    pause = now - history[-1].at if history else 0.0
    return Situation(
        now, known, times, pause, len(history), counts.ways(known[0]) if known else 0.0
    )


def features(counts: Counts, user: Situation, candidates: Indices) -> Logs:
    """The features of candidates, at least one: [features, candidates]."""
    logs = np.empty((len(NAMES), len(candidates)), np.float32)
    shares, age, passed = logs[:AGE], logs[AGE], logs[PASSED_BY]
    _write_shares(counts, user, candidates, shares)
    shares += np.float32(FLOOR)
    np.log(shares, out=shares)
    shares -= np.float32(log(FLOOR))
    if user.recent:
        shares[START] = 0.0
    first = counts.figures[FIRST].take(candidates)
    np.subtract(user.now + SHORT, first, out=age)
    age *= np.float32(1.0 / SHORT)
    np.log(np.maximum(age, np.float32(1.0), out=age), out=age)
    age *= np.float32(-0.3)
    passed[:] = PASSED[len(user.times)]
    # Most lessons were there before the user was.
    younger = np.flatnonzero(first > user.times[0]) if len(user.times) else ()
    if len(younger):
        earlier = np.searchsorted(user.times, first[younger], side="right")
        passed[younger] = PASSED[len(user.times) - earlier]
    return logs


def _write_shares(counts: Counts, user: Situation, candidates: Indices, shares: Logs) -> None:
    """Write the share of each candidate in each count: [features before AGE, candidates]."""
    for row, popularity in zip(shares, counts.popularity.values(), strict=False):
        row[:] = popularity.of(candidates, user.now)
    met = counts.figures[MET].take(candidates)
    background = shares[WEEK] + (met * (0.1 / max(met.sum(), 1.0)) + 1e-9).astype(np.float32)
    background /= background.sum()
    own = np.ones(PATH, np.float32)  # the part of a share that is not background
    if user.recent:
        found = Evidence(counts, user.recent, user.now, candidates)
        for row, sums in zip(shares[SUMMED], found.sums(), strict=True):
            row[:] = sums
        shares[TOGETHER] /= np.sqrt(met + DAMPING)
        shares[START] = background
        masses = found.masses()
        own[SUMMED] = masses / (masses + SMOOTHING)
        shares[PATH] = found.path(background)
    else:
        shares[START] = counts.starts.of(candidates, user.now)
        starts = shares[START].sum()
        own[START] = starts / (starts + SMOOTHING)
        shares[LESSON_BASED] = background
    _smooth(shares[:PATH], own, background)


def _smooth(sums: Logs, own: Logs, background: Logs) -> None:
    """Make shares of sums, in place: `own` is the part of each that is not background."""
    totals = sums.sum(axis=1)
    nothing = totals <= 0.0
    own[nothing], totals[nothing] = 0.0, 1.0
    sums *= (own / totals)[:, None]
    sums += np.multiply.outer(1.0 - own, background)
