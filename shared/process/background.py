"""Background tasks: each belongs to a block, and it is an error if the task ends first."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

log = logging.getLogger(__name__)

CANCEL_INTERVAL: Final = 2.0  # seconds for a task to end before it is cancelled again


@asynccontextmanager
async def running(
    work: Coroutine[None, None, None], name: str
) -> AsyncIterator[asyncio.Task[None]]:
    """Run the coroutine as a task during the block; cancel it at the end, and wait for it."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_report_death)
    try:
        yield task
    finally:
        await _cancel_and_wait(task)


async def _cancel_and_wait(task: asyncio.Task[None]) -> None:
    """Cancel the task until it has ended, and raise its exception."""
    while not task.done():
        # Once is not enough: before Python 3.12 `asyncio.wait_for`, which the broker's client uses
        # to connect, loses a cancellation that arrives as it finishes, and the task goes on.
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_INTERVAL)
    if not task.cancelled():
        task.result()


async def finish_before_cancel(step: Coroutine[None, None, None]) -> None:
    """Run the step: a first cancellation lets it finish, only a second one interrupts it."""
    task = asyncio.create_task(step)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
        raise


@contextmanager
def log_and_continue(outage: type[Exception], message: str) -> Iterator[None]:
    """Log an exception of the block and go on: nothing would restart the loop around it."""
    try:
        yield
    except outage as error:
        log.warning("%s: %s", message, error)
    except Exception:
        log.exception("%s", message)


def _report_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.critical("background work ended: %s", task.get_name(), exc_info=error)
