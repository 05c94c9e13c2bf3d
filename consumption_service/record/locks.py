"""Locks: recording shares an advisory lock, erasing a user has it exclusively.

The time is read from the database's clock, after the lock is acquired. So a watch that is recorded
after an erasure has a later time, and one that is recorded before it does not. Whoever compares the
times finds the same order.
"""

import time
from datetime import datetime, timedelta
from math import inf
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from consumption_service.tables import erasure_epoch
from shared.clock import utc_now
from shared.database.database import Database

LOCK: Final = 7_253_649_812  # the advisory lock; any number
MAX_AGE: Final = 1.0  # seconds after a reading, in which two clocks run alike
MAX_ROUND_TRIP: Final = 0.05  # seconds that a reading took: an estimate may be so far behind

# PostgreSQL evaluates the columns in order: first the lock, then the others. A sequence is not part
# of the snapshot: its value is current, even if the statement has waited for the lock.
ERASURE_EPOCH: Final = func.coalesce(
    func.pg_sequence_last_value(text(f"'{erasure_epoch.name}'::regclass")), 0
)
LOCK_SHARED: Final = select(
    func.pg_advisory_xact_lock_shared(LOCK),
    func.clock_timestamp(),
    ERASURE_EPOCH.label("erasure_epoch"),
)
LOCK_EXCLUSIVE: Final = select(
    func.pg_advisory_xact_lock(LOCK), func.clock_timestamp(), ERASURE_EPOCH
)


class ClockReading(NamedTuple):
    """A reading of the database's clock, by a transaction that holds the lock."""

    now: datetime
    erasure_epoch: int = 0  # it rises with each erasure
    sent_at: float = -inf  # by the clock of this process
    received_at: float = 0.0  # likewise

    def estimated_now(self) -> datetime | None:
        """Return the database's time without another reading; None if this one is not precise.

        The estimate is not ahead of the database's clock, so an erasure that comes now has a later
        time; and it is behind by no more than the answer took.
        """
        passed = time.monotonic() - self.received_at
        is_precise = passed < MAX_AGE and self.received_at - self.sent_at < MAX_ROUND_TRIP
        return self.now + timedelta(seconds=passed) if is_precise else None


async def lock_shared(database: Database, connection: AsyncConnection) -> ClockReading:
    """Wait until this transaction may record, beside others that do; return its time."""
    return await _lock(database, connection, LOCK_SHARED)


async def lock_exclusive(database: Database, connection: AsyncConnection) -> ClockReading:
    """Wait until this transaction may erase, while no other records; return its time."""
    return await _lock(database, connection, LOCK_EXCLUSIVE)


async def _lock(
    database: Database, connection: AsyncConnection, statement: Select[Any]
) -> ClockReading:
    if database.is_sqlite:  # it has one transaction at a time anyway
        return ClockReading(utc_now())
    sent_at = time.monotonic()
    _, now, epoch = (await connection.execute(statement)).one()
    return ClockReading(now, epoch, sent_at, time.monotonic())


async def bump_erasure_epoch(database: Database, connection: AsyncConnection) -> None:
    """Invalidate all clock readings before an erasure is committed: none counts in a new epoch."""
    if not database.is_sqlite:
        await connection.execute(select(erasure_epoch.next_value()))
