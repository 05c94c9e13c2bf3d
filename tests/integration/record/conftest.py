"""What tests of recording share."""

import pytest

from consumption_service.record.locks import ClockReading
from consumption_service.record.timestamps import NEVER


@pytest.fixture
def good_clock_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the clock was read, plain watches are recorded at once, however slow the machine is."""
    monkeypatch.setattr(
        ClockReading, "estimated_now", lambda reading: reading.now if reading.now > NEVER else None
    )
