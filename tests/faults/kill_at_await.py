"""A service that dies at a chosen point: `python -m tests.faults.kill_at_await <package>`.

The event loop of this process runs every task inside a `Watched`, which sees each moment at which
the task begins to wait, and at which it goes on, and knows where in the product that is. So every
await of the product is a failpoint, and the product knows nothing of it.

    DOOM_SEEN     a file that gets a line for each new point that was passed
    DOOM_AT       a file with the point to die at; looked at when SIGUSR1 arrives
    DOOM_MESSAGE  a text; the process dies whenever it processes a message that contains it
"""

import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

from typing_extensions import override

from shared.process.program import run_to_completion
from tests.support.repository import ROOT

PRODUCT: Final = ("consumption_service", "recommendation_service", "shared")


class Doom:
    """Where this process dies."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._seen_file = Path(environment.get("DOOM_SEEN", os.devnull))
        self._point_file = Path(environment.get("DOOM_AT", os.devnull))
        self._message = environment.get("DOOM_MESSAGE", "").encode()
        self._seen: set[str] = set()
        self._point: str | None = None

    def choose(self) -> None:
        """Die at the point that the file names, the next time that it is passed.

        The file goes, so that whoever wrote it knows.
        """
        self._point = self._point_file.read_text()
        self._point_file.unlink()

    def pass_by(self, point: str) -> None:
        """Die here, or remember that there is such a point."""
        if point == self._point:
            die()
        if point not in self._seen:
            self._seen.add(point)
            with self._seen_file.open("a") as file:
                file.write(f"{point}\n")

    def look_at(self, frames: list[FrameType]) -> None:
        """Die if the fatal message is being processed."""
        for frame in frames:
            if self._message and frame.f_code.co_name == "process_batch":
                batch = frame.f_locals["batch"]
                if any(self._message in delivery.body for delivery in batch):
                    die()


class Watched(Coroutine[Any, Any, Any]):
    """A coroutine that is watched as it begins to wait, and as it goes on."""

    def __init__(self, inner: Any, doom: Doom) -> None:
        self._inner = inner
        self._doom = doom
        self._place = ""

    @override
    def send(self, value: Any) -> Any:
        if self._place:
            self._doom.pass_by(f"back in {self._place}")
        waits_for = self._inner.send(value)
        self._note()
        return waits_for

    @override
    def throw(self, *error: Any) -> Any:
        waits_for = self._inner.throw(*error)
        self._note()
        return waits_for

    @override
    def close(self) -> None:
        self._inner.close()

    @override
    def __await__(self) -> Any:
        return self._inner.__await__()

    def _note(self) -> None:
        frames = [frame for frame in frames_of(self._inner) if is_product(frame)]
        self._place = " > ".join(map(named, frames))
        if self._place:
            self._doom.look_at(frames)
            self._doom.pass_by(f"waiting in {self._place}")


def frames_of(waiting: Any) -> Iterator[FrameType]:
    """Yield the frames of what waits, the outermost first."""
    while waiting is not None:
        for kind in ("cr", "gi", "ag"):
            frame = getattr(waiting, f"{kind}_frame", None)
            if frame is not None:
                yield frame
                waiting = _next(waiting, kind, frame)
                break
        else:
            return


def _next(waiting: Any, kind: str, frame: FrameType) -> Any:
    """Return what it waits for; a block of contextlib's hides the generator that it drives."""
    if frame.f_code.co_name in {"__aenter__", "__aexit__"}:
        generator = getattr(frame.f_locals.get("self"), "gen", None)
        if generator is not None:
            return generator
    return getattr(waiting, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")


def is_product(frame: FrameType) -> bool:
    """Tell whether the frame is the product's own code."""
    return frame.f_globals.get("__name__", "").partition(".")[0] in PRODUCT


def named(frame: FrameType) -> str:
    """Name the place: two awaits of one line are two places."""
    file = Path(frame.f_code.co_filename).relative_to(ROOT)
    return f"{file}:{frame.f_lineno} {frame.f_code.co_name}+{frame.f_lasti}"


def die() -> None:
    """End at once, like by a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


async def doomed(work: Coroutine[Any, Any, None]) -> None:
    """Run the service, with every task watched from now on."""
    doom = Doom(dict(os.environ))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, doom.choose)

    def task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(Watched(coroutine, doom), loop=loop, **options)

    loop.set_task_factory(task)
    await work


if __name__ == "__main__":
    run_to_completion(doomed(importlib.import_module(f"{sys.argv[1]}.__main__").main()))
