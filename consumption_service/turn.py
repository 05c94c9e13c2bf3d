"""Turn: what records goes side by side; what erases a user has the database to itself.

The time is read once it is one's turn, from one clock. So whatever is recorded has a time later
than every erasure that came before it, and none later than an erasure that comes after: which of
the two came first is the same for all who compare their times.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database import Database
from shared.events import utc_now

LOCK: Final = 7_253_649_812  # the advisory lock; any number

# The time is read after the lock is got: the columns of a row are evaluated in their order.
SHARED: Final = select(func.pg_advisory_xact_lock_shared(LOCK), func.clock_timestamp())
ALONE: Final = select(func.pg_advisory_xact_lock(LOCK), func.clock_timestamp())


async def await_turn(database: Database, connection: AsyncConnection, *, alone: bool) -> datetime:
    """Wait until this transaction may record, or erase if `alone`; return the time it has.

    On SQLite there is one transaction at a time anyway.
    """
    if database.is_sqlite:
        return utc_now()
    _, now = (await connection.execute(ALONE if alone else SHARED)).one()
    return now  # type: ignore[no-any-return]
