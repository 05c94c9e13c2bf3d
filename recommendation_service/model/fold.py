"""Fold: build the counts of all histories at once, when a process starts.

The same counts as one `Counts.add` after the other, in a tenth of the time: pairs are sorted and
summed as arrays.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from recommendation_service.model.arrays import Floats, Indices, Mask
from recommendation_service.model.counts import (
    ACROSS,
    EPOCH,
    FARTHEST,
    FIRST,
    HALF_LIFE,
    IN_SESSION,
    LAST,
    MET,
    NO_LESSON,
    ROW_ACROSS,
    ROW_FORWARD,
    ROW_IN_SESSION,
    ROW_RECENT,
    SHARES,
    Counts,
    path_numbers,
)
from recommendation_service.model.fingerprint import NOBODY, fingerprint_of_packed
from recommendation_service.model.history import SESSION, WINDOW, Meeting
from recommendation_service.model.rows import Row
from shared.events import LessonId

_FIRST_PRECEDING: Final = 3  # column of the packed contributions, see `fingerprint`


class Stream(NamedTuple):
    """All meetings of all users, one user after the other, oldest first: [meetings] each."""

    lesson_ids: Indices
    indices: Indices
    times: Floats
    places: Indices  # in the user's history, from 0
    short: Mask  # whether the pause before was short; of no meaning at place 0


def fold(counts: Counts, histories: Iterable[Sequence[Meeting]]) -> int:
    """Count what the histories, each oldest first, add to empty counts; return the fingerprint."""
    stream = _stream(counts, histories)
    if not len(stream.times):
        return 0
    _fold_meetings(counts, stream)
    _fold_neighbours(counts, stream)
    _fold_transitions(counts, stream)
    _fold_paths(counts, stream)
    return fingerprint_of_packed(_packed(stream))


def _stream(counts: Counts, histories: Iterable[Sequence[Meeting]]) -> Stream:
    listed = [history for history in histories if history]
    lengths = np.array([len(history) for history in listed], np.int64)
    lesson_ids = np.array([one.lesson_id for history in listed for one in history], np.int64)
    times = np.array([one.at for history in listed for one in history], np.float64)
    unique, places_of_unique = np.unique(lesson_ids, return_inverse=True)
    known = [counts.index_of(LessonId(lesson_id)) for lesson_id in unique.tolist()]
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Stream(
        lesson_ids,
        np.array(known, np.int64)[places_of_unique],
        times,
        np.arange(len(times)) - starts,
        np.diff(times, prepend=times[:1]) < SESSION,
    )


def _fold_meetings(counts: Counts, stream: Stream) -> None:
    figures = counts.figures
    figures[MET] = np.bincount(stream.indices, minlength=len(counts))
    np.minimum.at(figures[FIRST], stream.indices, stream.times)
    np.maximum.at(figures[LAST], stream.indices, stream.times)
    for popularity in counts.popularity.values():
        popularity.fold(stream.indices, stream.times)
    starts = stream.places == 0
    counts.starts.fold(stream.indices[starts], stream.times[starts])


def _fold_neighbours(counts: Counts, stream: Stream) -> None:
    lags = range(1, min(WINDOW, int(stream.places.max())) + 1)
    weights = np.exp2(np.clip((stream.times - EPOCH) / HALF_LIFE, -FARTHEST, FARTHEST))
    later = [np.flatnonzero(stream.places >= lag) for lag in lags]
    if not later:
        return
    before = np.concatenate([stream.indices[at - lag] for lag, at in zip(lags, later, strict=True)])
    after = np.concatenate([stream.indices[at] for at in later])
    shares = np.repeat([float(SHARES // lag) for lag in lags], [len(at) for at in later])
    recent = np.concatenate([weights[at] / lag for lag, at in zip(lags, later, strict=True)])
    figures = counts.figures
    figures[ROW_FORWARD] = np.bincount(before, shares, len(counts))
    figures[ROW_RECENT] = np.bincount(before, recent, len(counts))
    keys, sums = _summed(before * len(counts) + after, np.stack([recent, shares]))
    before, after = np.divmod(keys, len(counts))
    nothing = np.zeros_like(sums)
    both = np.concatenate([[*sums, nothing[0]], [*nothing, sums[1]]], axis=1)
    keys, sums = _summed(np.concatenate([keys, after * len(counts) + before]), both)
    _fill(counts.neighbours, *np.divmod(keys, len(counts)), sums)


def _fold_transitions(counts: Counts, stream: Stream) -> None:
    after = np.flatnonzero(stream.places)
    before, short = stream.indices[after - 1], stream.short[after]
    kinds = np.stack([short, ~short]).astype(np.float64)
    figures = counts.figures
    figures[ROW_IN_SESSION] = np.bincount(before, kinds[IN_SESSION], len(counts))
    figures[ROW_ACROSS] = np.bincount(before, kinds[ACROSS], len(counts))
    keys, sums = _summed(before * len(counts) + stream.indices[after], kinds)
    _fill(counts.transitions, *np.divmod(keys, len(counts)), sums)


def _fold_paths(counts: Counts, stream: Stream) -> None:
    at = np.flatnonzero(stream.places >= 2)
    other, middle, second, third = (stream.indices[at - lag] for lag in range(4))
    third = np.where(stream.places[at] > 2, third, -1)
    some = np.max([other, middle, second, third], axis=0, initial=-1) < NO_LESSON
    numbers = path_numbers(second, np.where(third < 0, NO_LESSON, third), other)[some]
    if not len(numbers):
        return
    unique, ranks = np.unique(numbers, return_inverse=True)
    keys, sums = _summed(middle[some] * len(unique) + ranks, np.ones((1, len(ranks))))
    owners, which = np.divmod(keys, len(unique))
    _fill(counts.paths, owners, unique[which], sums)


def _summed(keys: Indices, values: Floats) -> tuple[Indices, Floats]:
    """Each key once, sorted, and the sums of its values: [keys] and [figures, keys]."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    if not len(starts):
        return keys, values
    return keys[starts], np.add.reduceat(values[:, order], starts, axis=1)


def _fill(rows: Sequence[Row], owners: Indices, others: Indices, sums: Floats) -> None:
    """Fill rows with the others of their owners, both sorted, and the sums [figures, others]."""
    limits = np.searchsorted(owners, np.arange(len(rows) + 1))
    figures = sums.T
    for row, start, stop in zip(rows, limits[:-1].tolist(), limits[1:].tolist(), strict=True):
        row.fill(others[start:stop], figures[start:stop])


def _packed(stream: Stream) -> bytes:
    """The contributions of all meetings, packed as `fingerprint` does it."""
    packed = np.full((len(stream.times), _FIRST_PRECEDING + WINDOW), NOBODY, "<i8")
    packed[:, 0] = stream.lesson_ids
    packed[:, 1] = stream.times.astype("<f8").view("<i8")
    packed[:, 2] = np.where(stream.places > 0, stream.short, NOBODY)
    for lag in range(1, WINDOW + 1):
        later = np.flatnonzero(stream.places >= lag)
        packed[later, _FIRST_PRECEDING + lag - 1] = stream.lesson_ids[later - lag]
    return packed.tobytes()
