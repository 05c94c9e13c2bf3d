"""Sparse rows: the rows of a sparse table that has one row per lesson.

A row maps each key (the index of another lesson, or a path) to `width` values. It is two flat
arrays: the sorted keys, and their values in the same order. An entry takes 8 + 8 * width bytes and
is found by bisection. NumPy reads both arrays without a copy.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from recommendation_service.model.arrays import Floats, Indices


class SparseRow:
    """Whole numbers as keys, and `width` values for each."""

    __slots__ = ("keys", "values", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        self.keys = array("q")
        self.values = array("d")

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, key: int) -> bool:
        position = bisect_left(self.keys, key)
        return position < len(self.keys) and self.keys[position] == key

    def offset_of(self, key: int) -> int:
        """Where the values of a key begin; zeros are inserted for a key that is missing."""
        position = bisect_left(self.keys, key)
        offset = position * self.width
        if position == len(self.keys) or self.keys[position] != key:
            self.keys.insert(position, key)
            self.values[offset:offset] = array("d", bytes(8 * self.width))
        return offset

    def remove(self, offset: int) -> None:
        """Remove the key whose values begin at an offset."""
        del self.keys[offset // self.width]
        del self.values[offset : offset + self.width]

    def get(self, key: int) -> tuple[float, ...]:
        """The values of a key, all zero if it is missing."""
        position = bisect_left(self.keys, key)
        if position == len(self.keys) or self.keys[position] != key:
            return (0.0,) * self.width
        return tuple(self.values[position * self.width : (position + 1) * self.width])

    def between(self, low: int, high: int) -> tuple[Indices, Floats]:
        """The keys [n] from `low` to below `high`, and the first value of each [n]."""
        start, stop = bisect_left(self.keys, low), bisect_left(self.keys, high)
        values = self.values[start * self.width : stop * self.width : self.width]
        return np.array(self.keys[start:stop], np.int64), np.array(values)

    def sum_of(self, column: int) -> float:
        """The sum of one value over all keys."""
        return sum(self.values[column :: self.width])

    def fill(self, keys: Indices, values: Floats) -> None:
        """Replace the row by arrays: sorted keys [n], and their values [n, width]."""
        self.keys = array("q", keys.astype(np.int64).tobytes())
        self.values = array("d", np.ascontiguousarray(values).tobytes())


def gather(rows: Sequence[SparseRow]) -> tuple[Indices, Floats]:
    """Concatenate rows of the same width: keys [n], values [n, width]."""
    keys = np.concatenate([np.frombuffer(row.keys, np.int64) for row in rows])
    values = np.concatenate([np.frombuffer(row.values) for row in rows])
    return keys, values.reshape(len(keys), rows[0].width)
