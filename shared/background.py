"""Background work: every loop belongs to a block, and its end before the block's is an error."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

log = logging.getLogger(__name__)


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
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _report_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.critical("background work ended: %s", task.get_name(), exc_info=error)


def ended(task: asyncio.Task[None]) -> str | None:
    """Return what is wrong when the work has ended, None while it goes on."""
    return "has ended, see the log" if task.done() else None
