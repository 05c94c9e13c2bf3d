"""Statement source: the xAPI statements of a file, decoded one by one.

The file holds a JSON array, one statement on each line, or the answer of a record store (an object
with `statements`). It is read in chunks, never as a whole.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TextIO

from upnext.import_watches.text_file import open_text

CHUNK: Final = 1 << 20  # characters
NUMBER_TAIL: Final = 2  # characters: `1e+` begins with the number 1 until a digit follows
SEPARATORS: Final = re.compile(r"[\s,\[\]]*")  # between two statements

_DECODER: Final = json.JSONDecoder()


def holds_statements(path: Path) -> bool:
    """Tell whether the file begins like JSON, and not like a table."""
    with open_text(path, ValueError) as file:
        return file.read(1000).lstrip()[:1] in ("[", "{")


def read_statements(path: Path) -> Iterator[Any]:
    """Return each value of the file that should be a statement.

    Raises `CannotStart` where the file cannot be read.
    """
    with open_text(path, ValueError) as file:
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
        place = _skip_separators(text, 0)
        while place < len(text):
            try:
                value, end = _DECODER.raw_decode(text, place)
            except json.JSONDecodeError:
                if ended:
                    raise ValueError(f"what follows value {count} is not JSON") from None
                break  # the value continues in the next chunk
            if end >= len(text) - NUMBER_TAIL and not ended:
                break  # a number may continue, too
            yield value
            count += 1
            place = _skip_separators(text, end)
        text = text[place:]


def _skip_separators(text: str, start: int) -> int:
    match = SEPARATORS.match(text, start)
    return match.end() if match else start
