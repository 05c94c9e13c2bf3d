"""Pace: how many requests a second each caller may send, in bursts of up to as many as a second's.

Each process counts for itself. For each caller it keeps one number: when all that was asked so far
will have been earned (a token bucket, written as the generic cell rate algorithm).
"""

import time
from typing import Final

from shared.errors import TooManyRequests

SECOND: Final = 1_000_000_000  # nanoseconds: whole numbers, so that nothing is rounded
BURST: Final = SECOND  # 's worth of requests may come at once
MAX_CALLERS: Final = 100_000


class RateLimiter:
    """A limit in requests a second; 0 is none."""

    def __init__(self, rate: float) -> None:
        self._cost = int(SECOND / rate) if rate else 0
        self._burst = max(BURST, self._cost)  # a rate below one a second still lets one through
        self._earned_at: dict[str, int] = {}

    def count(self, name: str) -> None:
        """Count a request, or raise `TooManyRequests` with when to come again."""
        if not self._cost:
            return
        now = time.monotonic_ns()
        earned_at = max(self._earned_at.pop(name, now), now) + self._cost
        if earned_at - now > self._burst:
            self._earned_at[name] = earned_at - self._cost
            raise TooManyRequests(-(-(earned_at - now - self._burst) // SECOND))
        self._earned_at[name] = earned_at
        if len(self._earned_at) > MAX_CALLERS:
            # Whoever asked longest ago has most likely earned everything again.
            del self._earned_at[next(iter(self._earned_at))]
