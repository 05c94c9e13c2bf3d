"""The table of all faults: what was done, how often, and what came of it."""

import os
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.support.commands import run_command

VERDICT: Final = "verdict"  # the property of a test's report
PAGE: Final = "CHAOS_PAGE"  # the variable that names the page that gets the table
STARTED: Final = time.monotonic()

BEGIN: Final = "<!-- made by make chaos: from here -->"
END: Final = "<!-- made by make chaos: to here -->"

COLUMNS: Final = {
    "fault": "fault",
    "times": "times",
    "accepted": "2xx",
    "learned": "learned",
    "lost": "lost",
    "twice": "twice",
    "dropped": "delivered again",
    "recovery": "recovery, s",
    "slowest": "slowest 2xx, s",
}


def show(terminal: Any) -> None:
    """Show what came of every fault, in one table, whichever worker had it."""
    reports = [*terminal.stats.get("passed", []), *terminal.stats.get("failed", [])]
    properties = [one for report in reports for one in getattr(report, "user_properties", [])]
    verdicts = [value for name, value in properties if name == VERDICT]
    if not verdicts:
        return
    terminal.section("faults")
    terminal.write_line(table(verdicts))
    if page := os.environ.get(PAGE):
        write_into(Path(page), verdicts, time.monotonic() - STARTED)


def table(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Return the verdicts as a table in Markdown, in the order of their names."""
    ordered = sorted(verdicts, key=_place)
    cells = [list(COLUMNS.values())]
    cells += [[str(verdict[key]) for key in COLUMNS] for verdict in ordered]
    widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
    lines = ["| " + " | ".join(map(_padded, row, widths)) + " |" for row in cells]
    rule = "| " + " | ".join(map(_ruled, COLUMNS, widths)) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def _place(verdict: Mapping[str, Any]) -> tuple[int, str]:
    """Sort by the number of the scenario; what has none comes last."""
    fault = str(verdict["fault"])
    number = fault.partition(" ")[0].removeprefix("F")
    return (int(number) if number.isdigit() else 99), fault


def _padded(text: str, width: int) -> str:
    return text.ljust(width)


def _ruled(column: str, width: int) -> str:
    return "-" * width if column == "fault" else "-" * (width - 1) + ":"


def write_into(page: Path, verdicts: Sequence[Mapping[str, Any]], seconds: float) -> None:
    """Replace what stands between the marks of the page by the table, and how it was made."""
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    made = f"{_circumstances(len(verdicts), seconds)}\n\n{table(verdicts)}"
    page.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}")


def _circumstances(count: int, seconds: float) -> str:
    options = " ".join(f"{name}={os.environ[name]}" for name in ("MINUTES", "SEED"))
    return (
        f"Made on {datetime.now(UTC):%Y-%m-%d} by `make chaos {options}`: {count} trials in"
        f" {seconds / 60:.0f} minutes, on {os.cpu_count()} shared cores ({platform.machine()}),"
        f" {platform.system()}, Python {platform.python_version()}, RabbitMQ {_rabbitmq()},"
        f" {_postgresql()}."
    )


def _rabbitmq() -> str:
    said = _said("dpkg-query", "--show", "--showformat=${Version}", "rabbitmq-server")
    return said.partition("-")[0] or "in a container"


def _postgresql() -> str:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    said = _said(str(programs[-1]), "--version") if programs else ""
    return said.replace("postgres (PostgreSQL)", "PostgreSQL").partition(" (")[0] or "PostgreSQL"


def _said(*command: str) -> str:
    """Return what a program says, nothing when it is not there."""
    if shutil.which(command[0]) is None:
        return ""
    return str(run_command(command, capture_output=True, text=True).stdout.strip())
