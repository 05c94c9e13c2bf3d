"""Import outcomes: the result of each line, and the checkpoint that follows from them.

Requests overlap, so lines are answered out of order. A checkpoint covers only the leading lines
without a gap.
"""

from dataclasses import dataclass
from http import HTTPStatus

from upnext.import_watches.checkpoint import Checkpoint, CheckpointFile, RejectedFile
from upnext.import_watches.source import Row
from upnext.post_batches import ItemResult


@dataclass(slots=True)
class Counts:
    """Lines by outcome. `done` and `refused` include the runs that this one resumes."""

    done: int = 0
    sent: int = 0
    recorded: int = 0
    duplicates: int = 0
    refused: int = 0


class Outcomes:
    """Tracks the lines in flight and those that are done."""

    def __init__(self, file: CheckpointFile, rejected: RejectedFile, start: Checkpoint) -> None:
        self._file = file
        self._rejected = rejected
        self.rejected = rejected.path
        self._saved = start
        self._in_flight: set[int] = set()
        self._last_begun = start.rows
        self._unsaved_refusals: list[tuple[Row, str]] = []
        self.counts = Counts(done=start.rows, refused=start.refused)

    def begin(self, row: Row) -> None:
        """Keep a line that is about to be sent; lines start in order."""
        self._in_flight.add(row.number)
        self._last_begun = row.number

    def complete(self, row: Row, result: ItemResult) -> None:
        """Count the result of a line that was started; lines complete in any order."""
        self._in_flight.remove(row.number)
        self.counts.done += 1
        self.counts.sent += bool(row.body)
        self.counts.recorded += result.status == HTTPStatus.CREATED
        self.counts.duplicates += result.status == HTTPStatus.OK
        if result.reason:
            self.counts.refused += 1
            self._unsaved_refusals.append((row, result.reason))

    def save_checkpoint(self) -> None:
        """Write the refused lines of the leading done lines, and then the checkpoint."""
        leading = min(self._in_flight, default=self._last_begun + 1) - 1
        if leading == self._saved.rows:
            return
        ready = sorted(one for one in self._unsaved_refusals if one[0].number <= leading)
        self._unsaved_refusals = [one for one in self._unsaved_refusals if one[0].number > leading]
        if ready:
            self._rejected.append((row.cells, reason) for row, reason in ready)
        refused = self._saved.refused + len(ready)
        self._saved = Checkpoint(leading, refused, self._rejected.size)
        self._file.save(self._saved)

    def delete_checkpoint(self) -> None:
        """Delete the checkpoint: every line is done."""
        self._file.delete()
