"""Background tasks: they end with their block, and steps that have begun are finished."""

import asyncio
import logging
from contextlib import suppress
from typing import Final

import pytest

from shared.process import background
from shared.process.background import finish_before_cancel, log_and_continue, running
from tests.support.eventually import within

DEADLINE: Final = 10.0  # seconds


class Outage(Exception):
    """What a loop expects to fail with."""


async def test_a_task_runs_during_its_block_and_is_cancelled_at_the_end() -> None:
    async with asyncio.timeout(DEADLINE):
        started = asyncio.Event()

        async def work() -> None:
            started.set()
            await asyncio.Event().wait()

        async with running(work(), "work") as task:
            await started.wait()
            assert not task.done()
            assert task.get_name() == "work"

    assert task.cancelled()


async def test_a_task_that_loses_a_cancellation_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "CANCEL_INTERVAL", 0.01)
    lost = 0

    async def work() -> None:
        nonlocal lost
        while lost < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1

    async with asyncio.timeout(DEADLINE), running(work(), "work") as task:
        await asyncio.sleep(0)

    assert lost == 2
    assert task.done()


async def test_a_task_that_fails_is_logged_at_once_and_fails_its_block(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logged: list[str] = []

    async def work() -> None:
        raise Outage("broken")

    async def block() -> None:
        async with running(work(), "work") as task:
            await within(asyncio.wait([task]))
            await asyncio.sleep(0)
            logged.extend(caplog.messages)

    with pytest.raises(Outage, match="broken"):
        await asyncio.wait_for(block(), DEADLINE)
    assert logged == ["background work ended: work"]


@pytest.mark.parametrize(("cancellations", "finishes"), [(1, True), (2, False)])
async def test_only_a_second_cancellation_interrupts_a_step(
    cancellations: int, *, finishes: bool
) -> None:
    begun, may_finish, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def step() -> None:
        begun.set()
        await within(may_finish.wait())
        finished.set()

    async with asyncio.timeout(DEADLINE):
        task = asyncio.create_task(finish_before_cancel(step()))
        await begun.wait()
        for _ in range(cancellations):
            task.cancel()
            await asyncio.wait([task], timeout=0.01)
        assert task.done() == (not finishes)
        may_finish.set()
        with suppress(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)

    assert task.cancelled()
    assert finished.is_set() == finishes


async def test_a_step_that_is_not_cancelled_raises_what_it_fails_with() -> None:
    async def step() -> None:
        raise Outage("broken")

    with pytest.raises(Outage, match="broken"):
        async with asyncio.timeout(DEADLINE):
            await finish_before_cancel(step())


@pytest.mark.parametrize(
    ("error", "level", "message"),
    [
        (Outage("away"), logging.WARNING, "rows stay: away"),
        (ValueError("a bug"), logging.ERROR, "rows stay"),
    ],
)
def test_a_loop_goes_on_after_any_exception(
    error: Exception, level: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    def step() -> None:
        raise error

    with log_and_continue(Outage, "rows stay"):
        step()

    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (level, message)
    assert bool(record.exc_info) == (level == logging.ERROR)


async def test_a_loop_that_is_cancelled_does_not_go_on() -> None:
    with pytest.raises(asyncio.CancelledError), log_and_continue(Outage, "rows stay"):
        raise asyncio.CancelledError
