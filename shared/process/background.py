"""Background work: every loop belongs to a block, and its end before the block's is an error."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

log = logging.getLogger(__name__)

CANCEL_AGAIN: Final = 2.0  # seconds that work has to end when it is cancelled


@asynccontextmanager
async def running(
    work: Coroutine[None, None, None], name: str
) -> AsyncIterator[asyncio.Task[None]]:
    """Run the coroutine while the block lasts; cancel it, and wait for it, at the end."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_report_death)
    try:
        yield task
    finally:
        await _end(task)


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel until the work has ended, and raise what it ended with."""
    while not task.done():
        # Once is not enough: below Python 3.12 `asyncio.wait_for`, which the broker's client uses
        # to connect, loses a cancellation that comes as it finishes, and the loop goes on.
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_AGAIN)
    if not task.cancelled():
        task.result()


async def finish_before_cancel(step: Coroutine[None, None, None]) -> None:
    """Take a step that a first cancellation lets finish, and only the next one breaks off."""
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
def log_and_continue(outage: type[Exception], trouble: str) -> Iterator[None]:
    """Log what goes wrong in the block, so that a loop which nobody would start again goes on."""
    try:
        yield
    except outage as error:
        log.warning("%s: %s", trouble, error)
    except Exception:
        log.exception("%s", trouble)


def _report_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.critical("background work ended: %s", task.get_name(), exc_info=error)
