"""Exploration: a fair and bounded share of places for new lessons, too little known to rank.

A lesson is new for two weeks, until it has some interactions. Each user gets some new lessons in
the last places of a list, drawn by rendezvous hashing (Thaler and Ravishankar, 1998) of the user,
the lesson and the day: every new lesson gets the same share of users, a user's list stays the same
for a day, and no state is kept.
"""

from collections.abc import Sequence
from math import floor
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommendation_service.model.arrays import Indices, Mask
from recommendation_service.model.counts import Counts, Figure
from recommendation_service.model.eligible_lessons import EligibleLessons
from recommendation_service.model.rank import RankedLesson
from shared.ids import UserId

MIN_INTERACTIONS: Final = 10  # from which a lesson is ranked like any other
MAX_NEW_AGE: Final = 14 * 86_400.0  # seconds since the first interaction
MAX_NEW: Final = 256  # new lessons, the newest, among which a user's are drawn
DAY: Final = 86_400.0  # seconds

INCREMENT: Final = 0x9E3779B97F4A7C15
FIRST_FACTOR: Final = 0xBF58476D1CE4E5B9
SECOND_FACTOR: Final = 0x94D049BB133111EB

Hashes = NDArray[np.uint64]


class Recipient(NamedTuple):
    """The user who gets a list, and the share of its places for new lessons."""

    user_id: UserId
    share: float  # from 0 to 1
    eligible: EligibleLessons | None = None  # None: all lessons with interactions


ANONYMOUS_RECIPIENT: Final = Recipient(UserId(0), 0.0)  # gets no places for new lessons


def new_lessons(
    counts: Counts, recipient: Recipient, now: float, limit: int, new: Indices
) -> Indices:
    """The new lessons that a user gets today, out of all new ones: their indices.

    They get the recipient's share of `limit` places, at most half of them. If the share is not a
    whole number, its fraction is the fraction of users who get one place more.
    """
    if not (recipient.share and len(new)):
        return new[:0]
    if len(new) > MAX_NEW:
        new = new[np.argpartition(-counts.figures[Figure.FIRST, new], MAX_NEW)[:MAX_NEW]]
    seed = _mix(_mix(floor(now / DAY) % 2**32) ^ recipient.user_id)
    lucky = _mix(seed) / 2.0**64
    places = min(floor(limit * recipient.share + lucky), limit // 2)
    ids = counts.ids.take(new).view(np.uint64)
    drawn = np.argsort(_mix_all(ids ^ np.uint64(seed)), kind="stable")[:places]
    return new[drawn]


def are_new(counts: Counts, now: float) -> Mask:
    """Which lessons are new: [lessons]."""
    is_young = counts.figures[Figure.FIRST] > now - MAX_NEW_AGE
    return np.asarray(is_young & (counts.figures[Figure.INTERACTIONS] < MIN_INTERACTIONS))


def with_new_lessons(
    counts: Counts, ranked: Sequence[RankedLesson], chosen: Sequence[RankedLesson], new: Mask
) -> list[RankedLesson]:
    """Put the chosen lessons into the last places, unless as many new ones are ranked anyway."""
    if not chosen:
        return list(ranked)
    present = {one.lesson_id for one in ranked}
    indices = [counts.index[lesson_id] for lesson_id in present]
    missing = len(chosen) - int(new[indices].sum())
    added = [one for one in chosen if one.lesson_id not in present][: max(missing, 0)]
    added = [one._replace(reason="new") for one in added]
    added.sort(key=lambda one: (-one.score, one.lesson_id))
    return [*ranked[: len(ranked) - len(added)], *added]


def _mix(value: int) -> int:
    """Hash a whole number: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014)."""
    value = (value + INCREMENT) % 2**64
    value = (value ^ (value >> 30)) * FIRST_FACTOR % 2**64
    value = (value ^ (value >> 27)) * SECOND_FACTOR % 2**64
    return value ^ (value >> 31)


def _mix_all(values: Hashes) -> Hashes:
    """The same for an array."""
    values = values + np.uint64(INCREMENT)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(FIRST_FACTOR)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(SECOND_FACTOR)
    return np.asarray(values ^ (values >> np.uint64(31)))
