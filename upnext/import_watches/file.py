"""Import file: every line of a CSV file becomes one watch, however often it is imported.

The file is read twice; `upnext.import_source` says why. An interrupted import goes on where it was;
`upnext.import_memory` says how. What was recorded meanwhile is recognised by the keys.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import typer
from rich.console import Console

from shared.errors import CannotStart
from upnext.import_watches.checkpoint import FOLDER, Memory, Reached, RejectedFile
from upnext.import_watches.outcomes import Ledger
from upnext.import_watches.source import Row, Survey, breathe, rows_of, survey
from upnext.post_watches import MAX_BATCH, Answer, Lane, Posted, open_lanes
from upnext.progress_bar import Show, progress

INTERVAL: Final = 0.25  # seconds between two notes of how far the import is
NOT_SENT: Final = 0  # instead of an HTTP status: the line is unreadable
SHOWN_REFUSALS: Final = 5


@dataclass(frozen=True, slots=True)
class Wish:
    """What to import, and how."""

    path: Path
    url: str
    named: Mapping[str, str | None]  # what the columns are called, where that is not usual
    in_flight: int
    patience: float  # seconds without any answer
    from_start: bool


@dataclass(slots=True)
class Result:
    """What a run ends with."""

    refused: int = 0  # lines, those of the runs that this one continues too


async def import_file(wish: Wish, result: Result, console: Console) -> None:
    """Send every line that is not known to be answered.

    Raises `CannotStart` when that cannot go on.
    """
    console.print(f"Reading {wish.path}")
    found = await survey(wish.path, wish.named)
    ledger = _open_ledger(wish, found)
    start = ledger.tally.settled
    if start:
        console.print(f"Going on after {start:,} rows, which were answered in an earlier run")
    rows = rows_of(wish.path, found)
    await _skip(rows, start)
    began = time.monotonic()
    async with open_lanes(wish.url, wish.in_flight, wish.patience) as lanes:
        with progress(console, wish.path.name, found.rows, start) as show:
            await _send(Sending(rows, ledger, show, console), lanes)
    ledger.forget()
    result.refused = ledger.tally.refused
    _report(ledger, time.monotonic() - began)


def _open_ledger(wish: Wish, found: Survey) -> Ledger:
    memory = Memory(FOLDER, found.content, repr(found.columns), wish.url)
    reached = Reached() if wish.from_start else memory.recall()
    path = wish.path.with_name(f"{wish.path.name}.rejected.csv")
    return Ledger(memory, RejectedFile(path, found.header, reached.rejected_bytes), reached)


async def _skip(rows: Iterator[Row], count: int) -> None:
    for row in islice(rows, count):
        await breathe(row.number)


async def _send(sending: "Sending", lanes: Sequence[Lane]) -> None:
    """Let every lane work until there are no rows; leave on disk how far that came."""
    try:
        await _work_on_all(sending, lanes)
    except asyncio.CancelledError:
        sending.say("Stopped. The same command goes on from here.")
        raise
    finally:
        sending.note()


async def _work_on_all(sending: "Sending", lanes: Sequence[Lane]) -> None:
    end: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            for lane in lanes:
                tasks.create_task(sending.work(lane))
    except* CannotStart as group:
        end = group.exceptions[0]  # they all tell the same
    if end:
        raise end


class Sending:
    """The rows on their way."""

    def __init__(self, rows: Iterator[Row], ledger: Ledger, show: Show, console: Console) -> None:
        self._rows = rows
        self._ledger = ledger
        self._show = show
        self._console = console
        self._noted_at = 0.0
        self._complaints = 0

    async def work(self, lane: Lane) -> None:
        """Send batch after batch; all lanes take theirs from the same rows."""
        while rows := list(islice(self._rows, MAX_BATCH)):
            for row in rows:
                self._ledger.take(row)
            readable = [row for row in rows if row.body]
            answers = iter(await lane.post([Posted(row.body, row.key) for row in readable]))
            for row in rows:
                self._settle(row, next(answers) if row.body else Answer(NOT_SENT, row.trouble))
            if time.monotonic() - self._noted_at > INTERVAL:
                self.note()
            await asyncio.sleep(0)  # a file without a readable line would not hear Ctrl-C

    def _settle(self, row: Row, answer: Answer) -> None:
        self._ledger.settle(row, answer)
        if answer.reason:
            self._complain(row, answer.reason)

    def say(self, text: str) -> None:
        """Show a line."""
        self._console.print(text)

    def note(self) -> None:
        """Put on disk, and show, how far it is."""
        self._ledger.remember()
        self._show(self._ledger.tally.settled)
        self._noted_at = time.monotonic()

    def _complain(self, row: Row, reason: str) -> None:
        self._complaints += 1
        if self._complaints <= SHOWN_REFUSALS:
            self.say(f"Line {row.line} is refused: {reason}")
        elif self._complaints == SHOWN_REFUSALS + 1:
            self.say("More lines are refused.")


def _report(ledger: Ledger, seconds: float) -> None:
    tally = ledger.tally
    typer.echo(
        f"{tally.sent:,} sent, {tally.recorded:,} recorded, {tally.known:,} already there, "
        f"{tally.refused:,} refused; {seconds:,.1f} s, {tally.sent / max(seconds, 0.001):,.0f}"
        " rows/s"
    )
    if tally.refused:
        typer.echo(f"The refused lines, each with its reason: {ledger.rejected}")
