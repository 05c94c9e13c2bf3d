"""Import memory: how far an import came, kept on disk, so that the next run continues there.

The first `rows` lines are answered, and the refused ones of them are in the first `rejected_bytes`
of the file of refused lines. What came after is sent again, and is recorded once all the same.
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
class Reached:
    """A point: nothing before it needs to be sent again."""

    rows: int = 0
    refused: int = 0
    rejected_bytes: int = 0


class Memory:
    """What is remembered of one import: of one content, read one way, sent to one address."""

    def __init__(self, folder: Path, *identity: str) -> None:
        name = blake2b("\n".join(identity).encode(), digest_size=16).hexdigest()
        self._path = folder / f"{name}.json"

    def recall(self) -> Reached:
        """Return how far the last run came; the start, if there was none or it is unreadable."""
        try:
            return Reached(**json.loads(self._path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return Reached()

    def remember(self, reached: Reached) -> None:
        """Replace what is remembered, all at once."""
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps(asdict(reached)))
            fresh.replace(self._path)

    def forget(self) -> None:
        """Forget the import: it is complete, or begins anew."""
        with writing(self._path):
            self._path.unlink(missing_ok=True)


class RejectedFile:
    """The refused lines as a CSV file that can be corrected and imported, made when needed."""

    def __init__(self, path: Path, header: Sequence[str], size: int) -> None:
        """Keep the first `size` bytes of the file, and nothing else of an earlier run."""
        self.path = path
        self.size = size if path.exists() else 0
        self._header = header
        with writing(path):
            if self.size:
                os.truncate(path, size)
            else:
                path.unlink(missing_ok=True)

    def append(self, lines: Iterable[tuple[Sequence[str], str]]) -> None:
        """Add lines, each with the reason."""
        text = io.StringIO()
        writer = csv.writer(text)
        if not self.size:
            writer.writerow([*self._header, "refused_because"])
        writer.writerows([*cells, reason] for cells, reason in lines)
        added = text.getvalue().encode(errors="surrogateescape")
        with writing(self.path), self.path.open("ab") as file:
            file.write(added)
        self.size += len(added)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one sentence what cannot be written."""
    try:
        yield
    except OSError as error:
        raise CannotStart(f"Cannot write {path}: {error.strerror}.") from None
