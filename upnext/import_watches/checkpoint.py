"""Import checkpoint: how far an import came, on disk, so that the next run resumes there.

The first `rows` lines are answered. The refused ones of them are in the first `rejected_bytes` of
the file of refused lines. Later lines are sent again; their keys keep them from being recorded
twice.
"""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from shared.errors import CannotStart

FOLDER: Final = Path("var/imports")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A position in the file; no line before it needs to be sent again."""

    rows: int = 0
    refused: int = 0
    rejected_bytes: int = 0


class CheckpointFile:
    """The checkpoint of one import, identified by content, columns and address."""

    def __init__(self, folder: Path, *identity: str) -> None:
        name = blake2b("\n".join(identity).encode(), digest_size=16).hexdigest()
        self._path = folder / f"{name}.json"

    def load(self) -> Checkpoint:
        """Return the last checkpoint; the start of the file if there is none or it is damaged."""
        try:
            return Checkpoint(**json.loads(self._path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return Checkpoint()

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint atomically."""
        with naming_write_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_suffix(".new")
            temporary.write_text(json.dumps(asdict(checkpoint)))
            temporary.replace(self._path)

    def delete(self) -> None:
        """Delete the checkpoint of a complete import."""
        with naming_write_errors(self._path):
            self._path.unlink(missing_ok=True)


class RejectedFile:
    """The refused lines as a CSV file that can be corrected and imported; created when needed."""

    def __init__(self, path: Path, header: Sequence[str], size: int) -> None:
        """Keep the first `size` bytes of an earlier run's file, and cut off the rest."""
        self.path = path
        self.size = size if path.exists() else 0
        self._header = header
        with naming_write_errors(path):
            if self.size:
                os.truncate(path, size)
            else:
                path.unlink(missing_ok=True)

    def append(self, lines: Iterable[tuple[Sequence[str], str]]) -> None:
        """Add lines, each with its reason."""
        text = io.StringIO()
        writer = csv.writer(text)
        if not self.size:
            writer.writerow([*self._header, "refused_because"])
        writer.writerows([*cells, reason] for cells, reason in lines)
        added = text.getvalue().encode(errors="surrogateescape")
        with naming_write_errors(self.path), self.path.open("ab") as file:
            file.write(added)
        self.size += len(added)


@contextmanager
def naming_write_errors(path: Path) -> Iterator[None]:
    """Raise `CannotStart` with the path in place of an `OSError`."""
    try:
        yield
    except OSError as error:
        raise CannotStart(f"Cannot write {path}: {error.strerror}.") from None
