"""Segments: the seconds of a lesson that were seen, as sorted and disjoint `[from, to]`."""

from collections.abc import Iterable, Sequence

Segments = list[list[int]]  # as JSON has them


def merge_segments(segments: Iterable[Sequence[int]]) -> Segments:
    """Return the union: sorted, with a gap between any two, and none empty."""
    result: Segments = []
    for start, end in sorted((start, end) for start, end in segments if start < end):
        if result and start <= result[-1][1]:
            result[-1][1] = max(result[-1][1], end)
        else:
            result.append([start, end])
    return result


def total_seconds(segments: Segments) -> int:
    """Return the number of seconds in merged segments."""
    return sum(end - start for start, end in segments)
