"""Import source: a CSV file, read twice in bounded memory.

The first pass counts the lines and finds duplicates; the second returns the requests. Between them
8 bytes are kept for each line, and a counter for each line that occurs more than once.
"""

import asyncio
import csv
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from shared.errors import CannotStart
from upnext.import_watches.rows import (
    Columns,
    UnreadableRow,
    find_columns,
    idempotency_key,
    watch_digest,
    watch_json,
)
from upnext.import_watches.text_file import open_text

ROWS_BETWEEN_YIELDS: Final = 10_000


class Row(NamedTuple):
    """A line as a request. An unreadable line has no body, and an `error` instead."""

    number: int  # 1 is the first below the header
    line: int  # where it ends, as an editor counts
    cells: Sequence[str]
    body: bytes
    key: bytes
    error: str = ""


@dataclass(frozen=True, slots=True)
class FileScan:
    """The result of the first pass."""

    header: Sequence[str]
    columns: Columns
    content: str  # a digest of the whole file
    rows: int
    duplicates: frozenset[int]  # digest prefixes of watches that may occur more than once


async def scan(path: Path, column_names: Mapping[str, str | None]) -> FileScan:
    """Read the file once. Raises `CannotStart` when it cannot be read or a column is missing."""
    with open_text(path, csv.Error) as text:
        lines = csv.reader(text)
        header = next(lines, None)
        if not header:
            raise CannotStart(f"{path} has no first line that names its columns.")
        columns = find_columns(header, column_names)
        rows, prefixes = 0, array("Q")
        for cells in filter(None, lines):
            rows += 1
            if body := _body_or_empty(cells, columns):
                prefixes.append(_digest_prefix(watch_digest(body)))
            await yield_to_loop(rows)
    return FileScan(header, columns, _file_digest(path), rows, _duplicates(prefixes))


async def yield_to_loop(rows: int) -> None:
    """Let the event loop run now and then during a long pass; else Ctrl-C would wait."""
    if rows % ROWS_BETWEEN_YIELDS == 0:
        await asyncio.sleep(0)


def read_rows(path: Path, found: FileScan) -> Iterator[Row]:
    """Read the file again, and return its lines as requests, the unreadable ones included."""
    seen: dict[bytes, int] = {}
    with open_text(path, csv.Error) as text:
        lines = csv.reader(text)
        next(lines)
        for number, cells in enumerate(filter(None, lines), start=1):
            try:
                body = watch_json(cells, found.columns)
            except UnreadableRow as error:
                yield Row(number, lines.line_num, cells, b"", b"", str(error))
                continue
            digest = watch_digest(body)
            occurrence = 1
            if _digest_prefix(digest) in found.duplicates:
                occurrence = seen[digest] = seen.get(digest, 0) + 1
            yield Row(number, lines.line_num, cells, body, idempotency_key(digest, occurrence))


def _body_or_empty(cells: Sequence[str], columns: Columns) -> bytes:
    try:
        return watch_json(cells, columns)
    except UnreadableRow:
        return b""


def _digest_prefix(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "little")


def _duplicates(prefixes: "array[int]") -> frozenset[int]:
    if not prefixes:
        return frozenset()
    numbers = np.frombuffer(prefixes, dtype=np.uint64)
    numbers.sort()
    return frozenset(numbers[1:][numbers[1:] == numbers[:-1]].tolist())


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()
