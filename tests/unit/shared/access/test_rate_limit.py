"""Pace: so many requests a second, counted for each caller."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access import rate_limit as module
from shared.access.rate_limit import MAX_CALLERS, SECOND, RateLimiter
from shared.errors import TooManyRequests


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000 * SECOND

    def monotonic_ns(self) -> int:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def passes(limiter: RateLimiter, name: str = "a") -> bool:
    try:
        limiter.acquire(name)
    except TooManyRequests:
        return False
    return True


def test_a_seconds_worth_may_come_at_once_and_then_as_many_as_are_earned(clock: Clock) -> None:
    limiter = RateLimiter(10)

    assert sum(passes(limiter) for _ in range(100)) == 10
    clock.go(0.35)
    assert sum(passes(limiter) for _ in range(100)) == 3
    clock.go(3600)
    assert sum(passes(limiter) for _ in range(100)) == 10


def test_what_is_refused_says_when_to_come_again_and_costs_nothing(clock: Clock) -> None:
    limiter = RateLimiter(0.1)
    limiter.acquire("a")

    for _ in range(10):
        with pytest.raises(TooManyRequests) as refusal:
            limiter.acquire("a")
        assert refusal.value.headers == {"Retry-After": "10"}
    clock.go(10)

    assert passes(limiter)


def test_one_caller_does_not_slow_another(clock: Clock) -> None:  # noqa: ARG001 - stands still
    limiter = RateLimiter(1)

    assert [passes(limiter, name) for name in "aabb"] == [True, False, True, False]


@given(waits=st.lists(st.floats(0, 2), max_size=50))
def test_no_pause_earns_more_than_its_time(waits: Sequence[float]) -> None:
    clock, limiter = Clock(), RateLimiter(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", clock)
        passed = 0
        for wait in waits:
            clock.go(wait)
            passed += passes(limiter)

    assert passed <= 5 * (1 + sum(waits)) + 1e-6


def test_callers_without_end_are_not_remembered_without_end(clock: Clock) -> None:  # noqa: ARG001
    limiter = RateLimiter(1)
    for number in range(MAX_CALLERS + 10):
        limiter.acquire(str(number))

    assert not passes(limiter, str(MAX_CALLERS))
    assert passes(limiter, "0")  # forgotten


def test_without_a_rate_nothing_is_counted() -> None:
    limiter = RateLimiter(0)

    assert all(passes(limiter) for _ in range(10_000))
