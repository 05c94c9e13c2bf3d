"""Import file: every line of a CSV file becomes one watch, however often it is imported.

The file is read twice (`import_watches/source.py`). An interrupted import resumes at its checkpoint
(`import_watches/checkpoint.py`). Idempotency keys tell lines that are already recorded.
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
from upnext.import_watches.checkpoint import FOLDER, Checkpoint, CheckpointFile, RejectedFile
from upnext.import_watches.outcomes import Outcomes
from upnext.import_watches.source import FileScan, Row, read_rows, scan, yield_to_loop
from upnext.post_batches import MAX_BATCH, BatchItem, BatchPoster, ItemResult, open_posters
from upnext.progress_bar import Show, progress

CHECKPOINT_INTERVAL: Final = 0.25  # seconds
NOT_SENT: Final = 0  # instead of an HTTP status: the line is unreadable
MAX_SHOWN_REFUSALS: Final = 5


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What to import, and how."""

    path: Path
    url: str
    column_names: Mapping[str, str | None]  # None: found by the usual names
    in_flight: int
    patience: float  # seconds without any answer
    from_start: bool


@dataclass(slots=True)
class ImportResult:
    """The result of a run."""

    refused: int = 0  # lines, with those of the runs that this one resumes


async def import_file(options: ImportOptions, result: ImportResult, console: Console) -> None:
    """Send every line after the checkpoint. Raises `CannotStart` when that cannot go on."""
    console.print(f"Reading {options.path}")
    found = await scan(options.path, options.column_names)
    outcomes = _open_outcomes(options, found)
    start = outcomes.counts.done
    if start:
        console.print(f"Going on after {start:,} rows, which were answered in an earlier run")
    rows = read_rows(options.path, found)
    await _skip(rows, start)
    began = time.monotonic()
    async with open_posters(options.url, options.in_flight, options.patience) as posters:
        with progress(console, options.path.name, found.rows, start) as show:
            await _send_all(RowSender(rows, outcomes, show, console), posters)
    outcomes.delete_checkpoint()
    result.refused = outcomes.counts.refused
    _report(outcomes, time.monotonic() - began)


def _open_outcomes(options: ImportOptions, found: FileScan) -> Outcomes:
    file = CheckpointFile(FOLDER, found.content, repr(found.columns), options.url)
    start = Checkpoint() if options.from_start else file.load()
    path = options.path.with_name(f"{options.path.name}.rejected.csv")
    return Outcomes(file, RejectedFile(path, found.header, start.rejected_bytes), start)


async def _skip(rows: Iterator[Row], count: int) -> None:
    for row in islice(rows, count):
        await yield_to_loop(row.number)


async def _send_all(sender: "RowSender", posters: Sequence[BatchPoster]) -> None:
    """Send the rows over all connections, and save a checkpoint however that ends."""
    try:
        await _send_concurrently(sender, posters)
    except asyncio.CancelledError:
        sender.print("Stopped. The same command goes on from here.")
        raise
    finally:
        sender.save_checkpoint()


async def _send_concurrently(sender: "RowSender", posters: Sequence[BatchPoster]) -> None:
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            for poster in posters:
                tasks.create_task(sender.run(poster))
    except* CannotStart as group:
        failure = group.exceptions[0]  # every connection fails for the same reason
    if failure:
        raise failure


class RowSender:
    """Sends the rows in batches, and tracks their outcomes."""

    def __init__(
        self, rows: Iterator[Row], outcomes: Outcomes, show: Show, console: Console
    ) -> None:
        self._rows = rows
        self._outcomes = outcomes
        self._show = show
        self._console = console
        self._saved_at = 0.0
        self._refusals = 0

    async def run(self, poster: BatchPoster) -> None:
        """Send batch after batch; all posters take theirs from the same rows."""
        while rows := list(islice(self._rows, MAX_BATCH)):
            for row in rows:
                self._outcomes.begin(row)
            items = [BatchItem(row.body, row.key) for row in rows if row.body]
            results = iter(await poster.post(items))
            for row in rows:
                self._complete(row, next(results) if row.body else ItemResult(NOT_SENT, row.error))
            if time.monotonic() - self._saved_at > CHECKPOINT_INTERVAL:
                self.save_checkpoint()
            await asyncio.sleep(0)  # a file without a readable line would not hear Ctrl-C

    def _complete(self, row: Row, result: ItemResult) -> None:
        self._outcomes.complete(row, result)
        if result.reason:
            self._print_refusal(row, result.reason)

    def print(self, text: str) -> None:
        """Show a line."""
        self._console.print(text)

    def save_checkpoint(self) -> None:
        """Save the checkpoint, and update the progress bar."""
        self._outcomes.save_checkpoint()
        self._show(self._outcomes.counts.done)
        self._saved_at = time.monotonic()

    def _print_refusal(self, row: Row, reason: str) -> None:
        self._refusals += 1
        if self._refusals <= MAX_SHOWN_REFUSALS:
            self.print(f"Line {row.line} is refused: {reason}")
        elif self._refusals == MAX_SHOWN_REFUSALS + 1:
            self.print("More lines are refused.")


def _report(outcomes: Outcomes, seconds: float) -> None:
    counts = outcomes.counts
    typer.echo(
        f"{counts.sent:,} sent, {counts.recorded:,} recorded, {counts.duplicates:,} already there, "
        f"{counts.refused:,} refused; {seconds:,.1f} s, {counts.sent / max(seconds, 0.001):,.0f}"
        " rows/s"
    )
    if counts.refused:
        typer.echo(f"The refused lines, each with its reason: {outcomes.rejected}")
