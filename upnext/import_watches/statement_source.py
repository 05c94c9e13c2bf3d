"""Statement source: the xAPI statements of a file, one after the other.

They may stand in an array, one on each line, or in what a record store answers (`statements`);
gzipped or not. The file is never in memory as a whole.
"""

import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import GzipFile
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, TextIO

from shared.errors import CannotStart

GZIP_MAGIC: Final = b"\x1f\x8b"
CHUNK: Final = 1 << 20  # characters
BETWEEN: Final = re.compile(r"[\s,\[\]]*")  # what stands between two statements
UNREADABLE: Final = (OSError, EOFError, zlib.error, ValueError)

_DECODER: Final = json.JSONDecoder()


def holds_statements(path: Path) -> bool:
    """Tell whether the file begins like JSON, and not like a table."""
    with _opened(path) as file:
        return file.read(1000).lstrip()[:1] in ("[", "{")


def statements_of(path: Path) -> Iterator[Any]:
    """Return what the file holds, each value that should be a statement.

    Raises `CannotStart` where the file cannot be read.
    """
    with _opened(path) as file:
        for value in _values(file):
            if isinstance(value, dict) and isinstance(value.get("statements"), list):
                yield from value["statements"]
            else:
                yield value


def _values(file: TextIO) -> Iterator[Any]:
    text, ended, count = "", False, 0
    while not ended:
        more = file.read(CHUNK)
        text, ended = text + more, not more
        place = _end_of(BETWEEN, text, 0)
        while place < len(text):
            try:
                value, end = _DECODER.raw_decode(text, place)
            except json.JSONDecodeError:
                if ended:
                    raise ValueError(f"what follows value {count} is not JSON") from None
                break  # it goes on in the next chunk
            if end == len(text) and not ended:
                break  # so may a number
            yield value
            count += 1
            place = _end_of(BETWEEN, text, end)
        text = text[place:]


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == GZIP_MAGIC
            file.seek(0)
            raw = GzipFile(fileobj=file) if zipped else file
            with TextIOWrapper(raw, "utf-8-sig", "surrogateescape") as text:
                yield text
    except UNREADABLE as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CannotStart(f"Cannot read {path}: {what}.") from None
