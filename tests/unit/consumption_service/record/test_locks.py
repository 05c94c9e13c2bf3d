"""A reading of the database's clock may be continued for a moment, if the answer came fast."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from consumption_service.record.locks import MAX_AGE, MAX_ROUND_TRIP, ClockReading

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ANSWERED_AT = 1000.0  # by the clock of the process


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of the process: it shows the last element."""
    times = [ANSWERED_AT]
    monkeypatch.setattr(time, "monotonic", lambda: times[-1])
    return times


def reading(round_trip: float = 0.0) -> ClockReading:
    return ClockReading(NOON, 3, ANSWERED_AT - round_trip, ANSWERED_AT)


@pytest.mark.parametrize("passed", [0.0, 0.25, MAX_AGE - 0.01])
def test_the_estimate_goes_on_from_the_answer(clock: list[float], passed: float) -> None:
    clock.append(ANSWERED_AT + passed)

    estimate = reading(MAX_ROUND_TRIP - 0.01).estimated_now()

    assert estimate == NOON + timedelta(seconds=clock[-1] - ANSWERED_AT)


def test_an_old_reading_gives_no_estimate(clock: list[float]) -> None:
    clock.append(ANSWERED_AT + MAX_AGE)

    assert reading().estimated_now() is None


@pytest.mark.usefixtures("clock")
def test_an_answer_that_came_slowly_gives_no_estimate() -> None:
    assert reading(MAX_ROUND_TRIP + 0.01).estimated_now() is None


def test_a_reading_without_a_database_clock_gives_no_estimate() -> None:
    assert ClockReading(NOON).estimated_now() is None
