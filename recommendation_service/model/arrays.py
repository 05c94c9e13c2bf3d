"""Arrays: the types of what the model computes with."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Logs = NDArray[np.float32]  # logarithms: single precision is faster, and exact enough to rank by
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

Array = TypeVar("Array", Floats, Logs, Indices)


def union(some: Indices, others: Indices, size: int) -> Indices:
    """The indices below `size` that are among either: each once, sorted. Quicker than sorting."""
    there = np.zeros(size, bool)
    there[some] = True
    there[others] = True
    return np.flatnonzero(there)
