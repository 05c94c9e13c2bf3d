"""Report: one JSON object for machines, and the same as Markdown for people."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path("var/benchmarks")


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a title."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]

    @property
    def markdown(self) -> str:
        """Return it with columns aligned, so that it can be read unrendered."""
        cells = [[_shown(cell) for cell in row] for row in (self.head, *self.rows)]
        widths = [max(len(row[place]) for row in cells) for place in range(len(self.head))]
        lines = [" | ".join(map(str.ljust, row, widths)) for row in cells]
        lines.insert(1, " | ".join("-" * width for width in widths))
        return f"### {self.title}\n\n" + "\n".join(f"| {line} |" for line in lines)


def _shown(cell: object) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "NO"
    if isinstance(cell, int):
        return f"{cell:,}"
    return "" if cell is None else str(cell)


def markdown(title: str, machine: Mapping[str, Any], tables: Sequence[Table]) -> str:
    """Return the whole report as Markdown."""
    parts = [f"## {title}", described(machine), *(table.markdown for table in tables)]
    return "\n\n".join(parts) + "\n"


def described(machine: Mapping[str, Any]) -> str:
    """Return a paragraph about the machine."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    loads = " ".join(str(load) for load in machine["load_average"])
    return (
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB, "
        f"{machine['system']}; load average before: {loads}; a flushed write of 8 KiB takes "
        f"{machine['flush_ms']} ms.\n{versions}."
    )


def save(name: str, found: Mapping[str, Any], text: str) -> None:
    """Write both forms to a folder that git ignores."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n")
    (FOLDER / f"{name}.md").write_text(text)
