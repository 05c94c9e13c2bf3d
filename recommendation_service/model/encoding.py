"""Encoding: a change as compact bytes, for the log that every replica reads.

Compressed JSON, readable in any language: about 100 bytes for a usual event.
"""

import json
import zlib
from typing import Any, Final

from recommendation_service.model.history import Change, Contribution

LEVEL: Final = 1  # of zlib: the entries are small, and speed is worth more than a byte


def encode(change: Change) -> bytes:
    """The change as bytes; `decode` gives it back."""
    document = [change.added, change.removed, list(change.bounds.items())]
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), LEVEL)


def decode(entry: bytes) -> Change:
    """The change that was encoded. Raises ValueError or zlib.error for anything else."""
    added, removed, bounds = json.loads(zlib.decompress(entry))
    return Change(
        tuple(_contribution(*values) for values in added),
        tuple(_contribution(*values) for values in removed),
        {lesson_id: tuple(times) if times else None for lesson_id, times in bounds},
    )


def _contribution(lesson_id: Any, at: float, preceding: Any, in_session: Any) -> Contribution:
    return Contribution(lesson_id, at, tuple(preceding), in_session)
