"""Merging segments is the union of what they cover."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumption_service.segments import Segments, merge_segments, total_seconds

# Close together, so that they often overlap, touch, or are empty.
segment = st.tuples(st.integers(0, 30), st.integers(0, 8)).map(lambda s: [s[0], s[0] + s[1]])
segments = st.lists(segment, max_size=8)


def seconds(some: Sequence[Sequence[int]]) -> set[int]:
    """Each second that the segments cover, by its start."""
    return {second for start, end in some for second in range(start, end)}


@pytest.mark.parametrize(
    ("some", "merged"),
    [
        ([], []),
        ([[5, 5]], []),
        ([[7, 3]], []),
        ([[0, 10], [10, 20]], [[0, 20]]),
        ([[0, 10], [11, 20]], [[0, 10], [11, 20]]),
        ([[20, 30], [0, 100], [5, 6]], [[0, 100]]),
    ],
)
def test_segments_that_touch_or_overlap_are_one(some: Segments, merged: Segments) -> None:
    assert merge_segments(some) == merged


@given(segments)
def test_the_union_covers_the_same_seconds(some: Segments) -> None:
    merged = merge_segments(some)

    assert seconds(merged) == seconds(some)
    assert total_seconds(merged) == len(seconds(some))


@given(segments)
def test_the_union_is_sorted_with_a_gap_between_any_two(some: Segments) -> None:
    merged = merge_segments(some)

    assert all(start < end for start, end in merged)
    assert all(first[1] < second[0] for first, second in pairwise(merged))


@given(segments.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_the_union_is_the_same_in_any_order(orders: tuple[Segments, Segments]) -> None:
    one, other = orders

    assert merge_segments(one) == merge_segments(other)


@given(segments, segments)
def test_segments_may_be_merged_bit_by_bit_and_again(some: Segments, more: Segments) -> None:
    merged = merge_segments([*some, *more])

    assert merge_segments(merged) == merged
    assert merge_segments([*merge_segments(some), *more]) == merged


@given(segments)
def test_what_is_merged_stays_as_it_was(some: Segments) -> None:
    before = [list(one) for one in some]

    for one in merge_segments(some):
        one[1] += 1

    assert some == before
