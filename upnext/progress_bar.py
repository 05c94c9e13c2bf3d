"""Progress bar: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from typing_extensions import override

LINE_INTERVAL: Final = 5.0  # seconds between plain lines

Show = Callable[[int], None]


class Rate(ProgressColumn):
    """Rows per second."""

    @override
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f}/s")


@contextmanager
def progress(console: Console, title: str, total: int, start: int = 0) -> Iterator[Show]:
    """Yield a function that shows how many of the total are done; `start` were done before."""
    if not console.is_terminal:
        yield _plain_lines(console, title, total, start)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(title, total=total, completed=start)
        yield lambda done: bar.update(task, completed=done)


def _plain_lines(console: Console, title: str, total: int, start: int) -> Show:
    began = shown = time.monotonic()

    def show(done: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown < LINE_INTERVAL and done < total:
            return
        shown = now
        rate = (done - start) / max(now - began, 0.001)
        left = timedelta(seconds=round((total - done) / rate)) if rate else "?"
        console.print(f"{title}: {done:,} of {total:,}, {rate:,.0f}/s, {left} left")

    return show
