"""Files of watches to import."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

HEADER: Final = "user_id,lesson_id,position,occurred_at"
ROWS: Final = 60


def lines(first_user: int, count: int = ROWS) -> list[str]:
    """Return rows of so many users, one each."""
    return [f"{first_user + n},{n % 7},{n},2026-01-02T03:04:05Z" for n in range(count)]


def a_file(path: Path, rows: Iterable[str], header: str = HEADER) -> Path:
    """Write the file."""
    path.write_text("\n".join([header, *rows]) + "\n")
    return path
