"""Rows: the sparse tables, one row per lesson, of figures about it and each other lesson.

A row is two flat arrays: the other lessons, sorted, by their indices or other whole numbers, and
their figures, one record after the other. It takes 8 + 8 * width bytes per pair of lessons, a pair
is found by bisection, and NumPy reads it without a copy.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from recommendation_service.model.arrays import Floats, Indices


class Row:
    """Figures, `width` of them, about one lesson and each other lesson."""

    __slots__ = ("figures", "others", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        self.others = array("q")
        self.figures = array("d")

    def __len__(self) -> int:
        return len(self.others)

    def __contains__(self, other: int) -> bool:
        slot = bisect_left(self.others, other)
        return slot < len(self.others) and self.others[slot] == other

    def place(self, other: int) -> int:
        """Where the figures about another lesson begin; zeros are put there if there are none."""
        slot = bisect_left(self.others, other)
        start = slot * self.width
        if slot == len(self.others) or self.others[slot] != other:
            self.others.insert(slot, other)
            self.figures[start:start] = array("d", bytes(8 * self.width))
        return start

    def forget(self, start: int) -> None:
        """Drop the figures that begin there."""
        del self.others[start // self.width]
        del self.figures[start : start + self.width]

    def read(self, other: int) -> tuple[float, ...]:
        """The figures about another lesson, all zero if there are none."""
        slot = bisect_left(self.others, other)
        if slot == len(self.others) or self.others[slot] != other:
            return (0.0,) * self.width
        return tuple(self.figures[slot * self.width : (slot + 1) * self.width])

    def between(self, low: int, high: int) -> tuple[Indices, Floats]:
        """The others [n] from `low` to below `high`, and the first figure about each [n]."""
        start, stop = bisect_left(self.others, low), bisect_left(self.others, high)
        figures = self.figures[start * self.width : stop * self.width : self.width]
        return np.array(self.others[start:stop], np.int64), np.array(figures)

    def total(self, figure: int) -> float:
        """The sum of one figure over all other lessons."""
        return sum(self.figures[figure :: self.width])

    def fill(self, others: Indices, figures: Floats) -> None:
        """Take over whole arrays: sorted indices [n], and their figures [n, width]."""
        self.others = array("q", others.astype(np.int64).tobytes())
        self.figures = array("d", np.ascontiguousarray(figures).tobytes())


def gather(rows: Sequence[Row]) -> tuple[Indices, Floats]:
    """Several rows of one width, one after the other: other lessons [n], figures [n, width]."""
    others = np.concatenate([np.frombuffer(row.others, np.int64) for row in rows])
    figures = np.concatenate([np.frombuffer(row.figures) for row in rows])
    return others, figures.reshape(len(others), rows[0].width)
