"""Import statements: every xAPI statement of a file is sent, and recorded once.

They are sent in order, so that a session's first statement begins its watch. The id of a statement
makes sending it again harmless; a statement without one gets an id derived from its content.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

import typer
from rich.console import Console

from upnext.import_watches.checkpoint import naming_write_errors
from upnext.import_watches.source import yield_to_loop
from upnext.import_watches.statement_source import read_statements
from upnext.post_batches import MAX_BATCH, STATEMENTS, BatchItem, BatchPoster, open_posters
from upnext.progress_bar import progress

MAX_SHOWN_REFUSALS: Final = 5
REASON: Final = "refused_because"  # added to a refused statement


@dataclass(slots=True)
class StatementCounts:
    """How many statements were answered, and how many of them refused."""

    sent: int = 0
    refused: int = 0


async def import_statements(
    path: Path, url: str, patience: float, counts: StatementCounts, console: Console
) -> None:
    """Send every statement of the file. Raises `CannotStart` when that cannot go on."""
    console.print(f"Reading {path}")
    total = 0
    for _ in read_statements(path):
        total += 1
        await yield_to_loop(total)
    rejected = path.with_name(f"{path.name}.rejected.jsonl")
    with naming_write_errors(rejected):
        rejected.unlink(missing_ok=True)
    began = time.monotonic()
    async with open_posters(url, 1, patience, STATEMENTS) as (poster,):
        with progress(console, path.name, total) as show:
            statements = _batch_items(path)
            while batch := list(islice(statements, MAX_BATCH)):
                await _send(batch, poster, counts, rejected)
                show(counts.sent)
    _report(counts, rejected, time.monotonic() - began)


def _batch_items(path: Path) -> Iterator[BatchItem]:
    """Return each statement with an id, as JSON."""
    for statement in read_statements(path):
        if isinstance(statement, dict):
            statement.pop(REASON, None)
            statement.setdefault("id", _content_id(statement))
        body = json.dumps(statement).encode()
        yield BatchItem(body, body)


def _content_id(statement: dict[str, Any]) -> str:
    return str(uuid5(NAMESPACE_OID, json.dumps(statement, sort_keys=True)))


async def _send(
    batch: list[BatchItem], poster: BatchPoster, counts: StatementCounts, rejected: Path
) -> None:
    results = await poster.post(batch)
    counts.sent += len(batch)
    for statement, result in zip(batch, results, strict=True):
        if result.reason:
            counts.refused += 1
            _append_refused(statement, result.reason, rejected)
            if counts.refused <= MAX_SHOWN_REFUSALS:
                typer.echo(f"A statement is refused: {result.reason}", err=True)


def _append_refused(statement: BatchItem, reason: str, rejected: Path) -> None:
    """Add the statement, with its reason, to the file of refused statements."""
    content = json.loads(statement.body)
    fields = content if isinstance(content, dict) else {"statement": content}
    with naming_write_errors(rejected), rejected.open("a") as file:
        file.write(json.dumps({**fields, REASON: reason}) + "\n")


def _report(counts: StatementCounts, rejected: Path, seconds: float) -> None:
    typer.echo(
        f"{counts.sent:,} statements sent, {counts.sent - counts.refused:,} accepted, "
        f"{counts.refused:,} refused; {seconds:,.1f} s, "
        f"{counts.sent / max(seconds, 0.001):,.0f} statements/s"
    )
    if counts.refused:
        typer.echo(f"The refused ones, each with its reason: {rejected}")
