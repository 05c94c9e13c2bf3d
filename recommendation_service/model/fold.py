"""Fold: build the counts of all histories at once, when a process starts.

The counts equal those of one `Counts.add` after the other, in a tenth of the time: pairs are sorted
and summed as arrays, portion by portion.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from recommendation_service.model.arrays import Floats, Indices, Mask
from recommendation_service.model.counts import (
    HALF_LIFE,
    LAG_UNITS,
    MAX_HALF_LIVES,
    NO_LESSON,
    REFERENCE_TIME,
    Counts,
    Figure,
    Transition,
    path_key,
)
from recommendation_service.model.fingerprint import ABSENT, MODULUS, fingerprint_of_packed
from recommendation_service.model.history import SESSION, WINDOW, Interaction
from recommendation_service.model.sparse_rows import SparseRow
from shared.ids import LessonId

_FIRST_PRECEDING: Final = 3  # column of the packed contributions, see `fingerprint`
_KEY_BITS: Final = 31  # two numbers of so few bits are sorted as one


class InteractionArrays(NamedTuple):
    """All interactions of some users, in any order: [interactions] each."""

    users: Indices  # distinct numbers, not negative
    lesson_ids: Indices
    times: Floats

    @classmethod
    def of(cls, histories: Iterable[Sequence[Interaction]]) -> "InteractionArrays":
        """The interactions of one user after the other."""
        rows = [(user, *one) for user, history in enumerate(histories) for one in history]
        users, lesson_ids, times = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(np.array(users, np.int64), np.array(lesson_ids, np.int64), np.array(times))


class Fold:
    """Fills counts that are empty. All interactions of a user are in one portion."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._neighbours = _PairSums(2)  # RECENT and FORWARD
        self._transitions = _PairSums(2)
        self._paths = _PairSums(1)
        self._fingerprint = 0

    def add(self, interactions: InteractionArrays) -> None:
        """Count a portion."""
        if not len(interactions.times):
            return
        stream = _stream(self._counts, interactions)
        self._add_interactions(stream)
        self._add_neighbours(stream)
        self._add_transitions(stream)
        self._add_paths(stream)
        self._fingerprint += fingerprint_of_packed(_pack(stream))

    def finish(self) -> int:
        """Fill the tables, and return the fingerprint of all portions."""
        self._neighbours.in_both_directions().fill(self._counts.neighbours)
        self._transitions.fill(self._counts.transitions)
        self._paths.fill(self._counts.paths)
        return self._fingerprint % MODULUS

    def _add_interactions(self, stream: "_Stream") -> None:
        counts, figures = self._counts, self._counts.figures
        figures[Figure.INTERACTIONS] += np.bincount(stream.indices, minlength=len(counts))
        np.minimum.at(figures[Figure.FIRST], stream.indices, stream.times)
        np.maximum.at(figures[Figure.LAST], stream.indices, stream.times)
        for popularity in counts.popularity.values():
            popularity.add_all(stream.indices, stream.times)
        starts = stream.positions == 0
        counts.starts.add_all(stream.indices[starts], stream.times[starts])

    def _add_neighbours(self, stream: "_Stream") -> None:
        lags = range(1, min(WINDOW, int(stream.positions.max())) + 1)
        later = [np.flatnonzero(stream.positions >= lag) for lag in lags]
        if not later:
            return
        earlier = [at - lag for lag, at in zip(lags, later, strict=True)]
        before, after = (stream.indices[np.concatenate(one)] for one in (earlier, later))
        half_lives = (stream.times - REFERENCE_TIME) / HALF_LIFE
        weights = np.exp2(np.clip(half_lives, -MAX_HALF_LIVES, MAX_HALF_LIVES))
        recent = np.concatenate([weights[at] / lag for lag, at in zip(lags, later, strict=True)])
        units = np.repeat([float(LAG_UNITS // lag) for lag in lags], list(map(len, later)))
        figures, size = self._counts.figures, len(self._counts)
        figures[Figure.FORWARD] += np.bincount(before, units, size)
        figures[Figure.RECENT] += np.bincount(before, recent, size)
        self._neighbours.add(before, after, np.stack([recent, units]))

    def _add_transitions(self, stream: "_Stream") -> None:
        figures, size = self._counts.figures, len(self._counts)
        after = np.flatnonzero(stream.positions)
        before, short = stream.indices[after - 1], stream.short[after]
        kinds = np.stack([short, ~short]).astype(np.float64)
        figures[Figure.IN_SESSION] += np.bincount(before, kinds[Transition.IN_SESSION], size)
        figures[Figure.NEW_SESSION] += np.bincount(before, kinds[Transition.NEW_SESSION], size)
        self._transitions.add(before, stream.indices[after], kinds)

    def _add_paths(self, stream: "_Stream") -> None:
        at = np.flatnonzero(stream.positions >= 2)
        other, middle, second, third = (stream.indices[at - lag] for lag in range(4))
        third = np.where(stream.positions[at] > 2, third, -1)
        some = np.max([other, middle, second, third], axis=0, initial=-1) < NO_LESSON
        keys = path_key(second, np.where(third < 0, NO_LESSON, third), other)[some]
        self._paths.add(middle[some], keys, np.ones((1, len(keys))))


class _PairSums:
    """The sums of `width` values for each pair of a row and a key."""

    def __init__(self, width: int) -> None:
        self._rows = self._keys = np.zeros(0, np.int64)  # [pairs], sorted
        self._values = np.zeros((width, 0))

    def add(self, rows: Indices, keys: Indices, values: Floats) -> None:
        """Add values [width, n] to pairs [n], which may come several times."""
        self._rows, self._keys, self._values = _summed(
            np.concatenate([self._rows, rows]),
            np.concatenate([self._keys, keys]),
            np.concatenate([self._values, values], axis=1),
        )

    def in_both_directions(self) -> "_PairSums":
        """RECENT and FORWARD of the pairs, and BACKWARD of the pairs in the other direction."""
        both, (recent, units) = _PairSums(3), self._values
        zeros = np.zeros(len(self._rows))
        both.add(
            np.concatenate([self._rows, self._keys]),
            np.concatenate([self._keys, self._rows]),
            np.concatenate([[recent, units, zeros], [zeros, zeros, units]], axis=1),
        )
        return both

    def fill(self, rows: Sequence[SparseRow]) -> None:
        """Fill each row with its keys and values."""
        limits = np.searchsorted(self._rows, np.arange(len(rows) + 1))
        values = self._values.T
        for row, start, stop in zip(rows, limits[:-1].tolist(), limits[1:].tolist(), strict=True):
            row.fill(self._keys[start:stop], values[start:stop])


def _summed(rows: Indices, keys: Indices, values: Floats) -> tuple[Indices, Indices, Floats]:
    """Unique pairs, sorted, and the sums of their values: [pairs] twice, and [width, pairs]."""
    if not len(rows):
        return rows, keys, values
    order = _order(rows, keys)
    rows, keys = rows[order], keys[order]
    is_first = (np.diff(rows, prepend=-1) != 0) | (np.diff(keys, prepend=-1) != 0)
    starts = np.flatnonzero(is_first)
    return rows[starts], keys[starts], np.add.reduceat(values[:, order], starts, axis=1)


def _order(rows: Indices, keys: Indices) -> Indices:
    if max(int(rows.max()), int(keys.max())) >> _KEY_BITS:
        return np.lexsort((keys, rows))
    return np.argsort((rows << _KEY_BITS) + keys, kind="stable")


class _Stream(NamedTuple):
    """Interactions by user, oldest first: [interactions] each."""

    lesson_ids: Indices
    indices: Indices
    times: Floats
    positions: Indices  # in the user's history, from 0
    short: Mask  # whether the pause before was short; undefined at position 0


def _stream(counts: Counts, interactions: InteractionArrays) -> _Stream:
    order = np.lexsort((interactions.lesson_ids, interactions.times, interactions.users))
    users, lesson_ids = interactions.users[order], interactions.lesson_ids[order]
    times = interactions.times[order]
    unique, inverse = np.unique(lesson_ids, return_inverse=True)
    indices = [counts.index_of(LessonId(lesson_id)) for lesson_id in unique.tolist()]
    rows = np.arange(len(times))
    starts = np.where(np.diff(users, prepend=-1) != 0, rows, 0)
    return _Stream(
        lesson_ids,
        np.array(indices, np.int64)[inverse],
        times,
        rows - np.maximum.accumulate(starts),
        np.diff(times, prepend=times[:1]) < SESSION,
    )


def _pack(stream: _Stream) -> bytes:
    """The contributions of all interactions, packed as `fingerprint` does it."""
    packed = np.full((len(stream.times), _FIRST_PRECEDING + WINDOW), ABSENT, "<i8")
    packed[:, 0] = stream.lesson_ids
    packed[:, 1] = stream.times.astype("<f8").view("<i8")
    packed[:, 2] = np.where(stream.positions > 0, stream.short, ABSENT)
    for lag in range(1, WINDOW + 1):
        later = np.flatnonzero(stream.positions >= lag)
        packed[later, _FIRST_PRECEDING + lag - 1] = stream.lesson_ids[later - lag]
    return packed.tobytes()
