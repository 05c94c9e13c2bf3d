"""Retries while the database is unavailable: how long they wait, and when they end."""

import asyncio
from typing import Final

import pytest

from shared.database import retry
from shared.database.database import DatabaseRefused, DatabaseUnavailable
from shared.database.retry import retry_while_unavailable
from tests.support.eventually import PATIENCE

AWAY: Final = DatabaseUnavailable("it is away")


class Step:
    """Fails so often before it succeeds, once for each failure."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)

    async def __call__(self) -> str:
        if self._failures:
            raise self._failures.pop(0)
        return "done"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(retry, "MAX_DELAY", 0.004)


async def attempted(step: Step) -> str:
    async with asyncio.timeout(PATIENCE):
        return await retry_while_unavailable(step, "the step")


async def test_a_step_that_succeeds_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    assert await attempted(Step()) == "done"
    assert caplog.records == []


async def test_a_step_is_repeated_with_growing_delays_until_it_succeeds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await attempted(Step(*[AWAY] * 5)) == "done"

    delays = [0.001, 0.002, 0.004, 0.004, 0.004]
    assert [record.args for record in caplog.records] == [
        ("the step", delay, AWAY) for delay in delays
    ]


async def test_a_database_that_refuses_is_waited_for_too() -> None:
    assert await attempted(Step(DatabaseRefused("no such user"))) == "done"


async def test_any_other_error_is_raised_at_once() -> None:
    with pytest.raises(ValueError, match="a mistake"):
        await attempted(Step(AWAY, ValueError("a mistake")))


async def test_a_cancelled_retry_stops() -> None:
    step = Step(*[AWAY] * 100)
    waiting = asyncio.create_task(retry_while_unavailable(step, "the step"))
    await asyncio.sleep(0)

    waiting.cancel()

    async with asyncio.timeout(PATIENCE):
        await asyncio.wait([waiting])
    assert waiting.cancelled()
