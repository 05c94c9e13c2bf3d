"""The table of all faults: what was done, how often, and what came of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

VERDICT: Final = "verdict"  # the property of a test's report

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


def table(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Return the verdicts as a table in Markdown, in the order of their names."""
    ordered = sorted(verdicts, key=lambda verdict: str(verdict["fault"]))
    cells = [list(COLUMNS.values())]
    cells += [[str(verdict[key]) for key in COLUMNS] for verdict in ordered]
    widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
    lines = ["| " + " | ".join(map(_padded, row, widths)) + " |" for row in cells]
    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def _padded(text: str, width: int) -> str:
    return text.ljust(width)
