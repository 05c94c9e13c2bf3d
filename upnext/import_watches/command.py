"""Import command: the options of `upnext import`, and its exit status."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from shared.process.program import run_to_completion
from upnext.addresses import consumption_address
from upnext.import_watches.file import ImportOptions, ImportResult, import_file
from upnext.import_watches.statement_source import holds_statements
from upnext.import_watches.statements import StatementCounts, import_statements

Column = Annotated[str | None, typer.Option(metavar="COLUMN", help="The column with this value.")]


def import_command(  # noqa: PLR0913, PLR0917 - each is an option of the command
    file: Annotated[Path, typer.Argument(help="A CSV file, or xAPI statements; gzipped or not.")],
    url: Annotated[str | None, typer.Option(help="The consumption service.")] = None,
    user: Column = None,
    lesson: Column = None,
    time: Column = None,
    position: Column = None,
    duration: Column = None,
    in_flight: Annotated[int, typer.Option(min=1, max=1000, help="Requests at a time.")] = 4,
    patience: Annotated[float, typer.Option(help="Seconds to wait without any answer.")] = 60.0,
    from_start: Annotated[  # noqa: FBT002 - an option
        bool, typer.Option("--from-start", help="Send again what was answered before.")
    ] = False,
) -> None:
    """Record what a file holds, once, however often it is imported.

    Of a CSV file each line is a watch.
    Columns are found by their usual names (user_id; lesson_id or item_id; occurred_at or timestamp;
    position and duration if there are any), or by the names you give. Times are RFC 3339, or
    seconds or milliseconds since 1970. An interrupted import goes on where it was.

    xAPI statements (of the video profile) stand in a JSON array or one on each line.
    """
    column_names = {
        "user": user,
        "lesson": lesson,
        "time": time,
        "position": position,
        "duration": duration,
    }
    result, statement_counts = ImportResult(), StatementCounts()

    async def work() -> None:
        address = (url or consumption_address()).rstrip("/")
        console = Console(stderr=True, markup=False, highlight=False)
        if holds_statements(file):
            await import_statements(file, address, patience, statement_counts, console)
            return
        options = ImportOptions(file, address, column_names, in_flight, patience, from_start)
        await import_file(options, result, console)

    run_to_completion(work())
    if result.refused or statement_counts.refused:
        raise typer.Exit(1)
