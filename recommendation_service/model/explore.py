"""Explore: a fair and bounded chance for new lessons, of which too little is known to rank them.

A lesson is new for two weeks, until some users met it. Of the new lessons each user gets some in
the last places of a list, by rendezvous hashing (Thaler and Ravishankar, 1998) of the user, the
lesson and the day: all get the same share of users, a user's list stays the same for a day, and
nobody has to remember what was shown.
"""

from collections.abc import Sequence
from math import floor
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommendation_service.model.arrays import Indices, Mask
from recommendation_service.model.counts import FIRST, MET, Counts
from recommendation_service.model.eligible import View
from recommendation_service.model.rank import Scored
from shared.ids import UserId

ENOUGH: Final = 10  # meetings after which a lesson is ranked like any other
YOUTH: Final = 14 * 86_400.0  # seconds after the first meeting in which it may be new
NEWEST: Final = 256  # new lessons among which a user's are drawn
DAY: Final = 86_400.0  # seconds

INCREMENT: Final = 0x9E3779B97F4A7C15
FIRST_FACTOR: Final = 0xBF58476D1CE4E5B9
SECOND_FACTOR: Final = 0x94D049BB133111EB

Hashes = NDArray[np.uint64]


class Visitor(NamedTuple):
    """Whose list it is, and the share of its places that new lessons get."""

    user_id: UserId
    share: float  # from 0 to 1
    view: View | None = None  # what may be on the list; None: anything that somebody met


NOBODY: Final = Visitor(UserId(0), 0.0)  # gets no new lessons that do not rank


def newcomers(counts: Counts, visitor: Visitor, now: float, limit: int, new: Indices) -> Indices:
    """Those of the new lessons that a user gets today: their indices.

    As many as the share of `limit` places, at most half of them. What is left of a whole place
    decides how many users get one more.
    """
    if not (visitor.share and len(new)):
        return new[:0]
    if len(new) > NEWEST:
        new = new[np.argpartition(-counts.figures[FIRST, new], NEWEST)[:NEWEST]]
    seed = _mixed(_mixed(floor(now / DAY) % 2**32) ^ visitor.user_id)
    lucky = _mixed(seed) / 2.0**64
    places = min(floor(limit * visitor.share + lucky), limit // 2)
    ids = counts.ids.take(new).view(np.uint64)
    drawn = np.argsort(_all_mixed(ids ^ np.uint64(seed)), kind="stable")[:places]
    return new[drawn]


def are_new(counts: Counts, now: float) -> Mask:
    """Which lessons are new: [lessons]."""
    figures = counts.figures
    return np.asarray((figures[FIRST] > now - YOUTH) & (figures[MET] < ENOUGH))


def with_newcomers(
    counts: Counts, ranked: Sequence[Scored], chosen: Sequence[Scored], new: Mask
) -> list[Scored]:
    """Put the chosen lessons into the last places, unless there are as many new ones anyway."""
    if not chosen:
        return list(ranked)
    there = {one.lesson_id for one in ranked}
    indices = [counts.index[lesson_id] for lesson_id in there]
    wanted = len(chosen) - int(new[indices].sum())
    added = [one for one in chosen if one.lesson_id not in there][: max(wanted, 0)]
    added = [one._replace(reason="new") for one in added]
    added.sort(key=lambda one: (-one.score, one.lesson_id))
    return [*ranked[: len(ranked) - len(added)], *added]


def _mixed(value: int) -> int:
    """Hash a whole number: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014)."""
    value = (value + INCREMENT) % 2**64
    value = (value ^ (value >> 30)) * FIRST_FACTOR % 2**64
    value = (value ^ (value >> 27)) * SECOND_FACTOR % 2**64
    return value ^ (value >> 31)


def _all_mixed(values: Hashes) -> Hashes:
    """The same for many at once."""
    values = values + np.uint64(INCREMENT)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(FIRST_FACTOR)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(SECOND_FACTOR)
    return np.asarray(values ^ (values >> np.uint64(31)))
