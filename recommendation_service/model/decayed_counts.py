"""Decayed: how often each lesson was met lately, older meetings counting less and less.

Forward decay (Cormode et al., 2009): a meeting at time t adds 2^((t - start) / half-life), and only
the reader divides. Time is cut into blocks of a few half-lives, each with its own start, and a
weight is a whole number. So the sums are exact: nothing overflows, nothing is lost between meetings
ten years apart, and what is taken away leaves no trace, in whatever order meetings come and go.
"""

from math import exp2, floor
from typing import Final

import numpy as np

from recommendation_service.model.arrays import Floats, Indices

BLOCK: Final = 8  # half-lives in a block
DEPTH: Final = 6  # blocks that are read: what is older weighs less than 2^-40
STEPS: Final = 1024  # per half-life; a weight holds for one of them
LENGTH: Final = BLOCK * STEPS  # of a block, in steps
UNIT: Final = 2**24  # parts into which the weight of a meeting at the start of a block is cut
WEIGHTS: Final = [round(UNIT * exp2(step / STEPS)) for step in range(LENGTH)]


class DecayedCounts:
    """Meetings per lesson, each halved in weight after every half-life (in seconds)."""

    def __init__(self, half_life: float) -> None:
        self.half_life = half_life
        self._blocks: dict[int, dict[int, int]] = {}
        self._current = 0  # the block that `_sums` are seen from
        self._recent: list[tuple[dict[int, int], float]] = []  # blocks that are read
        self._sums = np.zeros(64)  # by lesson; grows

    def shift(self, index: int, at: float, times: int) -> None:
        """Count meetings of a lesson at one time; a negative number takes them away."""
        block, age = divmod(floor(at / self.half_life * STEPS), LENGTH)
        is_read = 0 <= self._current - block < DEPTH
        if block not in self._blocks:
            self._blocks[block] = {}
            self._look_back()
        counts = self._blocks[block]
        counts[index] = counts.get(index, 0) + times * WEIGHTS[age]
        if not counts[index]:
            del counts[index]
        if is_read:
            self._grow(index + 1)
            self._sums[index] = sum([one.get(index, 0) * factor for one, factor in self._recent])

    def fold(self, indices: Indices, times: Floats) -> None:
        """Count many meetings: the lesson and the time of each."""
        if not len(times):
            return
        ages = np.floor(times / self.half_life * STEPS).astype(np.int64)
        blocks, inverse = np.unique(ages // LENGTH, return_inverse=True)
        keys = inverse * (int(indices.max()) + 1) + indices
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        weights = np.add.reduceat(np.array(WEIGHTS)[ages[order] % LENGTH], starts)
        firsts = order[starts]
        named = blocks[inverse[firsts]].tolist(), indices[firsts].tolist(), weights.tolist()
        for block, index, weight in zip(*named, strict=True):
            counts = self._blocks.setdefault(block, {})
            counts[index] = counts.get(index, 0) + weight
        self._sum_up()

    def at(self, now: float, lessons: int) -> Floats:
        """The decayed count of each of the first `lessons` lessons at a time.

        Meetings that are more than a block later than `now` are not counted.
        """
        unit = self._unit_at(now)
        self._grow(lessons)
        return self._sums[:lessons] * unit

    def of(self, indices: Indices, now: float) -> Floats:
        """The same for some lessons, by their sorted indices."""
        unit = self._unit_at(now)
        self._grow(int(indices[-1]) + 1 if len(indices) else 0)
        return self._sums.take(indices) * unit

    def _unit_at(self, now: float) -> float:
        """What a unit of the sums is worth at a time, which they are seen from after this."""
        block = floor(now / self.half_life) // BLOCK
        if block != self._current:
            self._current = block
            self._sum_up()
        age = now / self.half_life - block * BLOCK
        return exp2(-age) / UNIT

    def _sum_up(self) -> None:
        self._look_back()
        self._sums[:] = 0.0
        for counts, factor in self._recent:
            if counts:
                indices = np.fromiter(counts.keys(), np.int64, len(counts))
                weights = np.fromiter(counts.values(), np.float64, len(counts))
                self._grow(int(indices.max()) + 1)
                self._sums[indices] += weights * factor

    def _look_back(self) -> None:
        """Find the blocks that are read, and what their weights are multiplied by."""
        self._recent = [
            (self._blocks[self._current - age], exp2(-BLOCK * age))
            for age in range(DEPTH)
            if self._current - age in self._blocks
        ]

    def _grow(self, size: int) -> None:
        if size > len(self._sums):
            longer = np.zeros(2 * size)
            longer[: len(self._sums)] = self._sums
            self._sums = longer
