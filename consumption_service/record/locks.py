"""Turn: what records goes side by side; what erases a user has the database to itself.

The time is read once it is one's turn, from one clock. So whatever is recorded has a time later
than every erasure that came before it, and none later than an erasure that comes after: which of
the two came first is the same for all who compare their times.
"""

import time
from datetime import datetime, timedelta
from math import inf
from typing import Final, NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from consumption_service.tables import erasures_so_far
from shared.clock import utc_now
from shared.database.database import Database

LOCK: Final = 7_253_649_812  # the advisory lock; any number
GOOD_FOR: Final = 1.0  # seconds after a look at the clock, in which two clocks go alike
BEHIND: Final = 0.05  # seconds that a time may be behind, for which nobody looked at the clock


class ClockReading(NamedTuple):
    """A look at the database's clock, by who had the turn."""

    now: datetime
    erasures: int = 0  # that there were until then
    asked_at: float = -inf  # by the clock of this process
    seen_at: float = 0.0  # when the answer was there

    def estimated_now(self) -> datetime | None:
        """Return the database's time without another look, or None if that is not known well.

        It is not ahead of the database's clock, so an erasure that comes now has a later time; and
        behind it by no more than the answer took.
        """
        passed = time.monotonic() - self.seen_at
        is_good = passed < GOOD_FOR and self.seen_at - self.asked_at < BEHIND
        return self.now + timedelta(seconds=passed) if is_good else None


async def await_turn(
    database: Database, connection: AsyncConnection, *, alone: bool
) -> ClockReading:
    """Wait until this transaction may record, or erase if `alone`; return the time it has.

    On SQLite there is one transaction at a time anyway.
    """
    if database.is_sqlite:
        return ClockReading(utc_now())
    asked_at = time.monotonic()
    _, now, erasures = (await connection.execute(ALONE if alone else SHARED)).one()
    return ClockReading(now, erasures, asked_at, time.monotonic())


async def bump_erasure_epoch(database: Database, connection: AsyncConnection) -> None:
    """Let who records at once know of an erasure, before it is committed."""
    if not database.is_sqlite:
        await connection.execute(select(erasures_so_far.next_value()))


# The columns of a row are evaluated in their order: the others after the lock is got. A sequence is
# seen as it is at that moment, also by a statement that began, and waited, before.
SO_FAR: Final = func.coalesce(
    func.pg_sequence_last_value(text(f"'{erasures_so_far.name}'::regclass")), 0
)
SHARED: Final = select(
    func.pg_advisory_xact_lock_shared(LOCK), func.clock_timestamp(), SO_FAR.label("erasures")
)
ALONE: Final = select(func.pg_advisory_xact_lock(LOCK), func.clock_timestamp(), SO_FAR)
