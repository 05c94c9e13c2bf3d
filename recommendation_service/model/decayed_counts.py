"""Decayed counts: interactions per lesson, halved in weight after each half-life.

Forward decay (Cormode et al., 2009): an interaction at time t adds 2^((t - start) / half-life), and
only the reader divides. Time is cut into blocks of a few half-lives, each with its own start, and
weights are whole numbers. So the sums are exact: nothing overflows, nothing is lost between
interactions ten years apart, and a removed one leaves no trace, in whatever order they come and go.
"""

from math import exp2, floor
from typing import Final

import numpy as np

from recommendation_service.model.arrays import Floats, Indices

BLOCK: Final = 8  # half-lives in a block
BLOCKS_READ: Final = 6  # latest blocks that are read: older interactions weigh less than 2^-40
STEPS_PER_HALF_LIFE: Final = 1024  # per half-life; the weight is constant within a step
BLOCK_STEPS: Final = BLOCK * STEPS_PER_HALF_LIFE  # steps in a block
UNIT_WEIGHT: Final = 2**24  # of an interaction at the start of a block
WEIGHTS: Final = [
    round(UNIT_WEIGHT * exp2(step / STEPS_PER_HALF_LIFE)) for step in range(BLOCK_STEPS)
]


class DecayedCounts:
    """Interactions per lesson, each halved in weight after every half-life (in seconds)."""

    def __init__(self, half_life: float) -> None:
        self.half_life = half_life
        self._blocks: dict[int, dict[int, int]] = {}
        self._current = 0  # the block that `_sums` are relative to
        self._recent: list[tuple[dict[int, int], float]] = []  # blocks that are read, and factors
        self._sums = np.zeros(64)  # by lesson; grows

    def add(self, index: int, at: float, times: int) -> None:
        """Count interactions with a lesson at one time; a negative number removes them."""
        block, age = divmod(floor(at / self.half_life * STEPS_PER_HALF_LIFE), BLOCK_STEPS)
        is_read = 0 <= self._current - block < BLOCKS_READ
        if block not in self._blocks:
            self._blocks[block] = {}
            self._select_blocks()
        counts = self._blocks[block]
        counts[index] = counts.get(index, 0) + times * WEIGHTS[age]
        if not counts[index]:
            del counts[index]
        if is_read:
            self._grow(index + 1)
            self._sums[index] = sum([one.get(index, 0) * factor for one, factor in self._recent])

    def add_all(self, indices: Indices, times: Floats) -> None:
        """Count many interactions: the lesson and the time of each."""
        if not len(times):
            return
        ages = np.floor(times / self.half_life * STEPS_PER_HALF_LIFE).astype(np.int64)
        blocks, inverse = np.unique(ages // BLOCK_STEPS, return_inverse=True)
        keys = inverse * (int(indices.max()) + 1) + indices
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        weights = np.add.reduceat(np.array(WEIGHTS)[ages[order] % BLOCK_STEPS], starts)
        firsts = order[starts]
        named = blocks[inverse[firsts]].tolist(), indices[firsts].tolist(), weights.tolist()
        for block, index, weight in zip(*named, strict=True):
            counts = self._blocks.setdefault(block, {})
            counts[index] = counts.get(index, 0) + weight
        self._recompute_sums()

    def at(self, now: float, lessons: int) -> Floats:
        """The decayed count of each of the first `lessons` lessons at a time.

        Interactions more than a block later than `now` are not counted.
        """
        scale = self._scale_at(now)
        self._grow(lessons)
        return self._sums[:lessons] * scale

    def of(self, indices: Indices, now: float) -> Floats:
        """The same for some lessons, by their sorted indices."""
        scale = self._scale_at(now)
        self._grow(int(indices[-1]) + 1 if len(indices) else 0)
        return self._sums.take(indices) * scale

    def _scale_at(self, now: float) -> float:
        """The factor from sums to counts at a time; makes the sums relative to its block."""
        block = floor(now / self.half_life) // BLOCK
        if block != self._current:
            self._current = block
            self._recompute_sums()
        age = now / self.half_life - block * BLOCK
        return exp2(-age) / UNIT_WEIGHT

    def _recompute_sums(self) -> None:
        self._select_blocks()
        self._sums[:] = 0.0
        for counts, factor in self._recent:
            if counts:
                indices = np.fromiter(counts.keys(), np.int64, len(counts))
                weights = np.fromiter(counts.values(), np.float64, len(counts))
                self._grow(int(indices.max()) + 1)
                self._sums[indices] += weights * factor

    def _select_blocks(self) -> None:
        """Select the blocks that are read, with the factors of their weights."""
        self._recent = [
            (self._blocks[self._current - age], exp2(-BLOCK * age))
            for age in range(BLOCKS_READ)
            if self._current - age in self._blocks
        ]

    def _grow(self, size: int) -> None:
        if size > len(self._sums):
            longer = np.zeros(2 * size)
            longer[: len(self._sums)] = self._sums
            self._sums = longer
