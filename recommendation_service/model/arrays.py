"""Arrays: the NumPy types that the model computes with."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Logs = NDArray[np.float32]  # logarithms: single precision is faster, and exact enough to rank by
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

Array = TypeVar("Array", Floats, Logs, Indices)
Index = TypeVar("Index", int, Indices)


def union(some: Indices, others: Indices, size: int) -> Indices:
    """The indices below `size` in either array: unique, sorted. Quicker than sorting them."""
    is_in_either = np.zeros(size, bool)
    is_in_either[some] = True
    is_in_either[others] = True
    return np.flatnonzero(is_in_either)
