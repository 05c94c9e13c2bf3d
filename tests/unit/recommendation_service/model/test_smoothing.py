"""Smoothing: shares that sum to one, and logarithms that keep their order."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendation_service.model.arrays import Logs
from recommendation_service.model.smoothing import FLOOR, smooth, take_logs

counts = st.lists(st.integers(0, 1_000), min_size=3, max_size=3)
parts = st.floats(0, 1, width=32)


def array(*values: float) -> Logs:
    return np.array(values, np.float32)


def test_a_part_of_the_shares_is_of_the_sums_and_the_rest_is_background() -> None:
    rows = array(1, 3, 0)[None]

    smooth(rows, array(0.75), array(0.5, 0.25, 0.25))

    assert rows.tolist() == [[0.3125, 0.625, 0.0625]]


def test_sums_of_nothing_are_all_background() -> None:
    rows = np.zeros((1, 2), np.float32)

    smooth(rows, array(0.75), array(0.25, 0.75))

    assert rows.tolist() == [[0.25, 0.75]]


@given(st.lists(st.tuples(counts, parts), min_size=1, max_size=4))
def test_the_shares_of_each_row_sum_to_one(given: list[tuple[list[int], float]]) -> None:
    rows = np.array([row for row, _ in given], np.float32)

    smooth(rows, array(*(part for _, part in given)), array(0.5, 0.25, 0.25))

    assert rows.sum(axis=-1).tolist() == pytest.approx([1.0] * len(given), rel=1e-6)
    assert (rows >= 0).all()


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40))
def test_logarithms_grow_with_the_shares_from_zero(shares: list[float]) -> None:
    logs = array(0.0, *sorted(shares))

    take_logs(logs)

    assert logs[0] == 0.0
    assert (np.diff(logs) >= 0).all()


def test_a_logarithm_counts_how_often_a_share_has_the_floor() -> None:
    logs = array(FLOOR, 9 * FLOOR)

    take_logs(logs)

    assert logs.tolist() == pytest.approx([log(2), log(10)], rel=1e-5)
