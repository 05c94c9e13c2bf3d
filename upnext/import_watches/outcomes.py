"""Import ledger: what came of each line, and from where the next run would have to go on."""

from dataclasses import dataclass, replace
from http import HTTPStatus

from upnext.import_watches.checkpoint import Memory, Reached, RejectedFile
from upnext.import_watches.source import Row
from upnext.post_watches import Answer


@dataclass(slots=True)
class Tally:
    """What came of the lines of this run, and how many are settled, those of earlier runs too."""

    settled: int = 0
    sent: int = 0
    recorded: int = 0
    known: int = 0
    refused: int = 0


class Ledger:
    """The lines in hand, and those that are settled."""

    def __init__(self, memory: Memory, rejected: RejectedFile, reached: Reached) -> None:
        self._memory = memory
        self._rejected = rejected
        self.rejected = rejected.path
        self._noted = reached
        self._in_hand: set[int] = set()
        self._last = reached.rows  # the last line that was taken in hand
        self._refusals: list[tuple[Row, str]] = []  # not in the file yet
        self.tally = Tally(settled=reached.rows, refused=reached.refused)

    def take(self, row: Row) -> None:
        """Take a line in hand; they come in order."""
        self._in_hand.add(row.number)
        self._last = row.number

    def settle(self, row: Row, answer: Answer) -> None:
        """Note the answer."""
        self._in_hand.remove(row.number)
        self.tally.settled += 1
        self.tally.sent += bool(row.body)
        self.tally.recorded += answer.status == HTTPStatus.CREATED
        self.tally.known += answer.status == HTTPStatus.OK
        if answer.reason:
            self.tally.refused += 1
            self._refusals.append((row, answer.reason))

    def remember(self) -> None:
        """Put on disk how far the leading lines are settled, and the refused ones of them."""
        leading = min(self._in_hand, default=self._last + 1) - 1
        if leading == self._noted.rows:
            return
        ready = sorted(one for one in self._refusals if one[0].number <= leading)
        self._refusals = [one for one in self._refusals if one[0].number > leading]
        if ready:
            self._rejected.append((row.cells, reason) for row, reason in ready)
        refused = self._noted.refused + len(ready)
        self._noted = replace(self._noted, rows=leading, refused=refused)
        self._noted = replace(self._noted, rejected_bytes=self._rejected.size)
        self._memory.remember(self._noted)

    def forget(self) -> None:
        """Forget it all: every line is settled."""
        self._memory.forget()
