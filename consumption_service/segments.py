"""Segments: which seconds of a lesson were seen, as sorted and disjoint `[from, to]`."""

from collections.abc import Iterable, Sequence

Segments = list[list[int]]  # as JSON has them


def merged(segments: Iterable[Sequence[int]]) -> Segments:
    """Return the same seconds, each once: sorted, with a gap between any two, and none empty."""
    result: Segments = []
    for start, end in sorted((start, end) for start, end in segments if start < end):
        if result and start <= result[-1][1]:
            result[-1][1] = max(result[-1][1], end)
        else:
            result.append([start, end])
    return result


def seconds_in(segments: Segments) -> int:
    """Return how many seconds merged segments hold."""
    return sum(end - start for start, end in segments)
