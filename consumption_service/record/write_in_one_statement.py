"""Single-statement fast path: record plain watches with one statement that commits itself.

It saves the round trip that takes the lock and reads the clock. A recent reading of the clock is
good enough, unless a user was erased since. The statement takes the lock itself; if the erasure
epoch has changed, it inserts nothing.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, Table, any_, bindparam, delete, exists

from consumption_service.event import OutboxEvent
from consumption_service.record.commands import Command, CommandResult, Create
from consumption_service.record.decide import Group
from consumption_service.record.locks import LOCK_SHARED
from consumption_service.tables import outbox, watches
from shared.database.bulk import Rows, columns_of, insert_columns
from shared.database.database import Database
from shared.uuid7 import new_id


def is_plain(command: Command) -> bool:
    """Return whether the command depends on no stored row."""
    return isinstance(command, Create) and not command.key


async def record_in_one_statement(
    database: Database,
    commands: Sequence[Command],
    now: datetime,
    erasure_epoch: int,
    confirmed: Collection[UUID],
) -> tuple[list[CommandResult], list[OutboxEvent]] | None:
    """Carry out plain commands as `record` does; PostgreSQL only.

    Returns None, and has inserted nothing, if the erasure epoch is another by now. The rows of the
    confirmed events are deleted in any case.
    """
    group = Group(now)
    results = [group.decide(command, new_id()) for command in commands]
    new = [watch for watch in group.watches.values() if watch]
    rows: dict[Table, Rows] = {watches: new, outbox: group.events}
    values = {"erasure_epoch": erasure_epoch, "confirmed": list(confirmed)}
    statement = _INSERT_AND_DELETE if confirmed else _INSERT
    inserted = await database.execute_autocommit(statement, columns_of(rows) | values)
    return (results, group.events) if inserted else None


_LOCK: Final = LOCK_SHARED.cte("lock")
_IS_CURRENT: Final = exists().where(_LOCK.c.erasure_epoch == bindparam("erasure_epoch"))
_CONFIRMED: Final = bindparam("confirmed", None, ARRAY(outbox.c.event_id.type))
_INSERT: Final = insert_columns(watches, lambda _: _IS_CURRENT).add_cte(
    insert_columns(outbox, lambda _: _IS_CURRENT).cte()
)
_INSERT_AND_DELETE: Final = _INSERT.add_cte(
    delete(outbox).where(outbox.c.event_id == any_(_CONFIRMED)).cte()
)
