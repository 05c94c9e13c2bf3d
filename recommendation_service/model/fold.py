"""Fold: build the counts of all histories at once, when a process starts.

The same counts as one `Counts.add` after the other, in a tenth of the time: pairs are sorted and
summed as arrays, portion by portion.
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
from recommendation_service.model.fingerprint import MODULUS, NOBODY, fingerprint_of_packed
from recommendation_service.model.history import SESSION, WINDOW, Interaction
from recommendation_service.model.sparse_rows import Row
from shared.ids import LessonId

_FIRST_PRECEDING: Final = 3  # column of the packed contributions, see `fingerprint`
_NARROW: Final = 31  # bits; two numbers that need no more make one key to sort by


class Meetings(NamedTuple):
    """All meetings of some users, in any order: [meetings] each."""

    users: Indices  # ids, or whatever tells them apart; not negative
    lesson_ids: Indices
    times: Floats

    @classmethod
    def of(cls, histories: Iterable[Sequence[Interaction]]) -> "Meetings":
        """The meetings of one user after the other."""
        rows = [(user, *one) for user, history in enumerate(histories) for one in history]
        users, lesson_ids, times = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(np.array(users, np.int64), np.array(lesson_ids, np.int64), np.array(times))


class Fold:
    """Fills counts that are empty. All meetings of a user are in one portion."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._neighbours = _Sums(2)  # of pairs in their order
        self._transitions = _Sums(2)
        self._paths = _Sums(1)
        self._fingerprint = 0

    def add(self, meetings: Meetings) -> None:
        """Count a portion."""
        if not len(meetings.times):
            return
        stream = _stream(self._counts, meetings)
        self._add_meetings(stream)
        self._add_neighbours(stream)
        self._add_transitions(stream)
        self._add_paths(stream)
        self._fingerprint += fingerprint_of_packed(_packed(stream))

    def finish(self) -> int:
        """Fill the tables, and return the fingerprint of all portions."""
        self._neighbours.seen_from_both().fill(self._counts.neighbours)
        self._transitions.fill(self._counts.transitions)
        self._paths.fill(self._counts.paths)
        return self._fingerprint % MODULUS

    def _add_meetings(self, stream: "_Stream") -> None:
        counts, figures = self._counts, self._counts.figures
        figures[MET] += np.bincount(stream.indices, minlength=len(counts))
        np.minimum.at(figures[FIRST], stream.indices, stream.times)
        np.maximum.at(figures[LAST], stream.indices, stream.times)
        for popularity in counts.popularity.values():
            popularity.fold(stream.indices, stream.times)
        starts = stream.places == 0
        counts.starts.fold(stream.indices[starts], stream.times[starts])

    def _add_neighbours(self, stream: "_Stream") -> None:
        lags = range(1, min(WINDOW, int(stream.places.max())) + 1)
        later = [np.flatnonzero(stream.places >= lag) for lag in lags]
        if not later:
            return
        places = [at - lag for lag, at in zip(lags, later, strict=True)]
        before, after = (stream.indices[np.concatenate(one)] for one in (places, later))
        weights = np.exp2(np.clip((stream.times - EPOCH) / HALF_LIFE, -FARTHEST, FARTHEST))
        recent = np.concatenate([weights[at] / lag for lag, at in zip(lags, later, strict=True)])
        shares = np.repeat([float(SHARES // lag) for lag in lags], list(map(len, later)))
        figures, size = self._counts.figures, len(self._counts)
        figures[ROW_FORWARD] += np.bincount(before, shares, size)
        figures[ROW_RECENT] += np.bincount(before, recent, size)
        self._neighbours.add(before, after, np.stack([recent, shares]))

    def _add_transitions(self, stream: "_Stream") -> None:
        figures, size = self._counts.figures, len(self._counts)
        after = np.flatnonzero(stream.places)
        before, short = stream.indices[after - 1], stream.short[after]
        kinds = np.stack([short, ~short]).astype(np.float64)
        figures[ROW_IN_SESSION] += np.bincount(before, kinds[IN_SESSION], size)
        figures[ROW_ACROSS] += np.bincount(before, kinds[ACROSS], size)
        self._transitions.add(before, stream.indices[after], kinds)

    def _add_paths(self, stream: "_Stream") -> None:
        at = np.flatnonzero(stream.places >= 2)
        other, middle, second, third = (stream.indices[at - lag] for lag in range(4))
        third = np.where(stream.places[at] > 2, third, -1)
        some = np.max([other, middle, second, third], axis=0, initial=-1) < NO_LESSON
        numbers = path_numbers(second, np.where(third < 0, NO_LESSON, third), other)[some]
        self._paths.add(middle[some], numbers, np.ones((1, len(numbers))))


class _Sums:
    """Figures, `width` of them, about a row and another number, summed up for each pair."""

    def __init__(self, width: int) -> None:
        self._rows = self._others = np.zeros(0, np.int64)  # [pairs], sorted
        self._figures = np.zeros((width, 0))

    def add(self, rows: Indices, others: Indices, figures: Floats) -> None:
        """Add figures [width, n] about pairs [n], which may come several times."""
        self._rows, self._others, self._figures = _summed(
            np.concatenate([self._rows, rows]),
            np.concatenate([self._others, others]),
            np.concatenate([self._figures, figures], axis=1),
        )

    def seen_from_both(self) -> "_Sums":
        """RECENT and FORWARD of pairs as they are, and BACKWARD of them the other way round."""
        both, (recent, shares) = _Sums(3), self._figures
        nothing = np.zeros(len(self._rows))
        both.add(
            np.concatenate([self._rows, self._others]),
            np.concatenate([self._others, self._rows]),
            np.concatenate([[recent, shares, nothing], [nothing, nothing, shares]], axis=1),
        )
        return both

    def fill(self, rows: Sequence[Row]) -> None:
        """Fill the rows with what there is about each."""
        limits = np.searchsorted(self._rows, np.arange(len(rows) + 1))
        figures = self._figures.T
        for row, start, stop in zip(rows, limits[:-1].tolist(), limits[1:].tolist(), strict=True):
            row.fill(self._others[start:stop], figures[start:stop])


def _summed(rows: Indices, others: Indices, figures: Floats) -> tuple[Indices, Indices, Floats]:
    """Each pair once, sorted, and the sums of its figures: [pairs] twice, and [width, pairs]."""
    if not len(rows):
        return rows, others, figures
    order = _order(rows, others)
    rows, others = rows[order], others[order]
    is_first = (np.diff(rows, prepend=-1) != 0) | (np.diff(others, prepend=-1) != 0)
    starts = np.flatnonzero(is_first)
    return rows[starts], others[starts], np.add.reduceat(figures[:, order], starts, axis=1)


def _order(rows: Indices, others: Indices) -> Indices:
    if max(int(rows.max()), int(others.max())) >> _NARROW:
        return np.lexsort((others, rows))
    return np.argsort((rows << _NARROW) + others, kind="stable")


class _Stream(NamedTuple):
    """Meetings of one user after the other, oldest first: [meetings] each."""

    lesson_ids: Indices
    indices: Indices
    times: Floats
    places: Indices  # in the user's history, from 0
    short: Mask  # whether the pause before was short; of no meaning at place 0


def _stream(counts: Counts, meetings: Meetings) -> _Stream:
    order = np.lexsort((meetings.lesson_ids, meetings.times, meetings.users))
    users, lesson_ids = meetings.users[order], meetings.lesson_ids[order]
    times = meetings.times[order]
    unique, places_of_unique = np.unique(lesson_ids, return_inverse=True)
    known = [counts.index_of(LessonId(lesson_id)) for lesson_id in unique.tolist()]
    here = np.arange(len(times))
    begins = np.where(np.diff(users, prepend=-1) != 0, here, 0)
    return _Stream(
        lesson_ids,
        np.array(known, np.int64)[places_of_unique],
        times,
        here - np.maximum.accumulate(begins),
        np.diff(times, prepend=times[:1]) < SESSION,
    )


def _packed(stream: _Stream) -> bytes:
    """The contributions of all meetings, packed as `fingerprint` does it."""
    packed = np.full((len(stream.times), _FIRST_PRECEDING + WINDOW), NOBODY, "<i8")
    packed[:, 0] = stream.lesson_ids
    packed[:, 1] = stream.times.astype("<f8").view("<i8")
    packed[:, 2] = np.where(stream.places > 0, stream.short, NOBODY)
    for lag in range(1, WINDOW + 1):
        later = np.flatnonzero(stream.places >= lag)
        packed[later, _FIRST_PRECEDING + lag - 1] = stream.lesson_ids[later - lag]
    return packed.tobytes()
