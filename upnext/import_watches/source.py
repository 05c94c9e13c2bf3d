"""Import source: a CSV file, plain or gzipped, read twice in bounded memory.

The first reading counts the lines and finds those that repeat, the second gives the requests. What
is kept between them is 8 bytes for each line, and a counter for each line that stands there more
than once.
"""

import asyncio
import csv
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from hashlib import blake2b, file_digest
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from shared.errors import CannotStart
from upnext.import_watches.rows import (
    Columns,
    UnreadableRow,
    digest_of,
    find_columns,
    key_of,
    watch_json,
)

GZIP_MAGIC: Final = b"\x1f\x8b"
BREATH: Final = 10_000  # lines
UNREADABLE: Final = (OSError, EOFError, zlib.error, csv.Error)


class Row(NamedTuple):
    """A line as a request; without a body it is unreadable, and `trouble` says why."""

    number: int  # 1 is the first below the header
    line: int  # where it ends, as an editor counts
    cells: Sequence[str]
    body: bytes
    key: bytes
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first reading found."""

    header: Sequence[str]
    columns: Columns
    content: str  # a digest of the whole file
    rows: int
    repeated: frozenset[int]  # the marks of watches that may stand there more than once


async def survey(path: Path, named: Mapping[str, str | None]) -> Survey:
    """Read the file once. Raises `CannotStart` when it cannot be read or a column is missing."""
    with _lines(path) as lines:
        header = next(lines, None)
        if not header:
            raise CannotStart(f"{path} has no first line that names its columns.")
        columns = find_columns(header, named)
        rows, marks = 0, array("Q")
        for cells in filter(None, lines):
            rows += 1
            if body := _body(cells, columns):
                marks.append(_mark(digest_of(body)))
            await breathe(rows)
    return Survey(header, columns, _content(path), rows, _repeated(marks))


async def breathe(rows: int) -> None:
    """Let the loop turn now and then in a long reading, or Ctrl-C would not be heard."""
    if rows % BREATH == 0:
        await asyncio.sleep(0)


def rows_of(path: Path, found: Survey) -> Iterator[Row]:
    """Read the file again, and return its lines as requests, the unreadable ones included."""
    seen: dict[bytes, int] = {}
    with _lines(path) as lines:
        next(lines)
        for number, cells in enumerate(filter(None, lines), start=1):
            try:
                body = watch_json(cells, found.columns)
            except UnreadableRow as trouble:
                yield Row(number, lines.line_num, cells, b"", b"", str(trouble))
                continue
            digest = digest_of(body)
            occurrence = 1
            if _mark(digest) in found.repeated:
                occurrence = seen[digest] = seen.get(digest, 0) + 1
            yield Row(number, lines.line_num, cells, body, key_of(digest, occurrence))


@contextmanager
def _lines(path: Path) -> Iterator[Any]:  # a csv reader; its type has no public name
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == GZIP_MAGIC
            file.seek(0)
            raw = GzipFile(fileobj=file) if zipped else file
            # A byte that is no UTF-8 comes back as it was when its line is written again.
            with TextIOWrapper(raw, "utf-8-sig", "surrogateescape", newline="") as text:
                yield csv.reader(text)
    except UNREADABLE as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CannotStart(f"Cannot read {path}: {what}.") from None


def _body(cells: Sequence[str], columns: Columns) -> bytes:
    try:
        return watch_json(cells, columns)
    except UnreadableRow:
        return b""


def _mark(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "little")


def _repeated(marks: "array[int]") -> frozenset[int]:
    if not marks:
        return frozenset()
    numbers = np.frombuffer(marks, dtype=np.uint64)
    numbers.sort()
    return frozenset(numbers[1:][numbers[1:] == numbers[:-1]].tolist())


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()
