"""Import statements: every xAPI statement of a file is sent, and recorded once.

They go in their order, so that a session's first statement begins its watch. What was recorded by
an earlier run is known by its id; a statement without one gets an id that follows from its content.
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

from upnext.import_watches.checkpoint import writing
from upnext.import_watches.source import breathe
from upnext.import_watches.statement_source import statements_of
from upnext.post_watches import MAX_BATCH, STATEMENTS, Answer, Lane, Posted, open_lanes
from upnext.progress_bar import progress

SHOWN_REFUSALS: Final = 5
REASON: Final = "refused_because"


@dataclass(slots=True)
class Tally:
    """What came of the statements."""

    sent: int = 0
    refused: int = 0


async def import_statements(
    path: Path, url: str, patience: float, tally: Tally, console: Console
) -> None:
    """Send every statement of the file. Raises `CannotStart` when that cannot go on."""
    console.print(f"Reading {path}")
    total = 0
    for _ in statements_of(path):
        total += 1
        await breathe(total)
    rejected = path.with_name(f"{path.name}.rejected.jsonl")
    with writing(rejected):
        rejected.unlink(missing_ok=True)
    began = time.monotonic()
    async with open_lanes(url, 1, patience, STATEMENTS) as (lane,):
        with progress(console, path.name, total) as show:
            statements = _posted(path)
            while batch := list(islice(statements, MAX_BATCH)):
                await _send(batch, lane, tally, rejected)
                show(tally.sent)
    _report(tally, rejected, time.monotonic() - began)


def _posted(path: Path) -> Iterator[Posted]:
    """Return each statement as it is sent, with its id."""
    for statement in statements_of(path):
        if isinstance(statement, dict):
            statement.pop(REASON, None)
            statement.setdefault("id", _id_of(statement))
        body = json.dumps(statement).encode()
        yield Posted(body, body)


def _id_of(statement: dict[str, Any]) -> str:
    return str(uuid5(NAMESPACE_OID, json.dumps(statement, sort_keys=True)))


async def _send(batch: list[Posted], lane: Lane, tally: Tally, rejected: Path) -> None:
    answers = await lane.post(batch)
    tally.sent += len(batch)
    for statement, answer in zip(batch, answers, strict=True):
        if answer.reason:
            tally.refused += 1
            _refuse(statement, answer, tally, rejected)


def _refuse(statement: Posted, answer: Answer, tally: Tally, rejected: Path) -> None:
    """Keep the statement beside the file, with the reason, and show the first ones."""
    content = json.loads(statement.body)
    said = content if isinstance(content, dict) else {"statement": content}
    with writing(rejected), rejected.open("a") as file:
        file.write(json.dumps({**said, REASON: answer.reason}) + "\n")
    if tally.refused <= SHOWN_REFUSALS:
        typer.echo(f"A statement is refused: {answer.reason}", err=True)


def _report(tally: Tally, rejected: Path, seconds: float) -> None:
    typer.echo(
        f"{tally.sent:,} statements sent, {tally.sent - tally.refused:,} accepted, "
        f"{tally.refused:,} refused; {seconds:,.1f} s, "
        f"{tally.sent / max(seconds, 0.001):,.0f} statements/s"
    )
    if tally.refused:
        typer.echo(f"The refused ones, each with its reason: {rejected}")
