"""Rate limiter: a token bucket for each caller, which holds the requests of one second.

It is written as the generic cell rate algorithm (GCRA, ITU-T I.371): one number for each caller,
the time at which the bucket will be full again. Each process counts for itself.
"""

import time
from typing import Final

from shared.errors import TooManyRequests

SECOND: Final = 1_000_000_000  # nanoseconds: integers, so that nothing is rounded
BURST: Final = SECOND  # nanoseconds that it takes to fill a bucket
MAX_CALLERS: Final = 100_000


class RateLimiter:
    """A limit in requests a second; 0 is none."""

    def __init__(self, rate: float) -> None:
        self._cost = int(SECOND / rate) if rate else 0
        self._burst = max(BURST, self._cost)  # a rate below one a second still allows one request
        self._full_at: dict[str, int] = {}

    def acquire(self, name: str) -> None:
        """Take a token of the caller, or raise `TooManyRequests` with the time to wait."""
        if not self._cost:
            return
        now = time.monotonic_ns()
        full_at = max(self._full_at.pop(name, now), now) + self._cost
        if full_at - now > self._burst:
            self._full_at[name] = full_at - self._cost
            raise TooManyRequests(-(-(full_at - now - self._burst) // SECOND))
        self._full_at[name] = full_at
        if len(self._full_at) > MAX_CALLERS:
            # The bucket of the least recent caller is most likely full.
            del self._full_at[next(iter(self._full_at))]
