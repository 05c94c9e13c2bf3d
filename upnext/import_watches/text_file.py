"""Text file: a file of UTF-8 text, plain or gzipped, whatever its name says."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import GzipFile
from io import TextIOWrapper
from pathlib import Path
from typing import Final, TextIO

from shared.errors import CannotStart

GZIP_MAGIC: Final = b"\x1f\x8b"
READ_ERRORS: Final = (OSError, EOFError, zlib.error)


@contextmanager
def open_text(path: Path, malformed: type[Exception]) -> Iterator[TextIO]:
    """Open the file for the length of the block, with its line ends as they are.

    Raises `CannotStart` for a read error, and for a `malformed` error that the block raises.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == GZIP_MAGIC
            file.seek(0)
            raw = GzipFile(fileobj=file) if zipped else file
            # A byte that is no UTF-8 comes back as it was when its line is written again.
            with TextIOWrapper(raw, "utf-8-sig", "surrogateescape", newline="") as text:
                yield text
    except (*READ_ERRORS, malformed) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CannotStart(f"Cannot read {path}: {what}.") from None
