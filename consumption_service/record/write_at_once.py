"""Record at once: plain watches with one statement, where a transaction takes several.

What they need not wait for is a look at the clock: the one that this process took a moment ago
tells the time as well, unless somebody was erased since then. The statement itself waits for its
turn and finds that out, and then writes nothing.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, Table, any_, bindparam, delete, exists

from consumption_service.event import OutboxEvent
from consumption_service.record.commands import Command, Create, Outcome
from consumption_service.record.decide import Group
from consumption_service.record.locks import SHARED
from consumption_service.tables import outbox, watches
from shared.database.bulk import Rows, columns_of, insert_columns
from shared.database.database import Database
from shared.uuid7 import new_id


def is_plain(command: Command) -> bool:
    """Whether the command needs nothing that is stored."""
    return isinstance(command, Create) and not command.key


async def record_at_once(
    database: Database,
    commands: Sequence[Command],
    now: datetime,
    erasures: int,
    confirmed: Collection[UUID],
) -> tuple[list[Outcome], list[OutboxEvent]] | None:
    """Carry out plain commands as `record` does; None, and nothing done, if it is not their turn.

    It is while there were so many `erasures`, and not more. The confirmed events are forgotten in
    any case.
    """
    group = Group(now)
    outcomes = [group.decide(command, new_id()) for command in commands]
    new = [watch for watch in group.watches.values() if watch]
    rows: dict[Table, Rows] = {watches: new, outbox: group.events}
    known = {"erasures": erasures, "confirmed": list(confirmed)}
    statement = _RECORD_AND_FORGET if confirmed else _RECORD
    written = await database.execute_autocommit(statement, columns_of(rows) | known)
    return (outcomes, group.events) if written else None


# Made once: to put a statement together takes longer than to carry it out.
_TURN: Final = SHARED.cte("turn")
_IS_MINE: Final = exists().where(_TURN.c.erasures == bindparam("erasures"))
_CONFIRMED: Final = bindparam("confirmed", None, ARRAY(outbox.c.event_id.type))
_RECORD: Final = insert_columns(watches, lambda _: _IS_MINE).add_cte(
    insert_columns(outbox, lambda _: _IS_MINE).cte()
)
_RECORD_AND_FORGET: Final = _RECORD.add_cte(
    delete(outbox).where(outbox.c.event_id == any_(_CONFIRMED)).cte()
)
