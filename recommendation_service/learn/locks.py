"""Locks of learning transactions. All of them are held until the transaction ends.

Learners work side by side: each locks the users of its batch. A transaction that changes more than
the histories of some users takes the exclusive lock, and runs when nobody learns.

On SQLite a writing transaction has the database to itself.
"""

from collections.abc import Collection
from typing import Final

from sqlalchemy import ARRAY, BigInteger, bindparam, func, select, text, true
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.learn.model_state import ModelState, read_model_state
from recommendation_service.tables import model_state
from shared.ids import UserId

MAX_USER_LOCKS: Final = 200  # advisory locks take memory that all sessions share


async def lock_users(connection: AsyncConnection, users: Collection[UserId]) -> ModelState:
    """Lock the users, and return the model state.

    Until the transaction ends, no other one learns of these users, sets a tombstone or deletes from
    the inbox. Other learners may change the rest of the state.
    """
    if len(users) > MAX_USER_LOCKS:
        return await lock_exclusive(connection)
    if connection.dialect.name == "sqlite":
        return await read_model_state(connection, _SHARED)
    # Sorted: two transactions wait for each other in one direction only.
    return await read_model_state(connection, _SHARED_AND_USERS, {"users": sorted(users)})


async def lock_shared(connection: AsyncConnection) -> ModelState:
    """Keep out transactions with the exclusive lock, and return the model state."""
    return await read_model_state(connection, _SHARED)


async def lock_exclusive(connection: AsyncConnection) -> ModelState:
    """Keep out all who learn, and return the model state."""
    if connection.dialect.name != "sqlite":
        await connection.execute(_EXCLUSIVE)
    return await read_model_state(connection)


# A row lock also takes a weak lock of the table. `_EXCLUSIVE` conflicts with it, and waits its turn
# among all who take either. The row lock reads the latest version of the row, after any wait, and
# does not conflict with an update of the row.
_SHARED: Final = select(model_state).with_for_update(read=True, key_share=True)
_USERS: Final = func.unnest(bindparam("users", None, ARRAY(BigInteger))).table_valued("id")
_USER_LOCKS: Final = select(func.count(func.pg_advisory_xact_lock(_USERS.render_derived().c.id)))
_SHARED_AND_USERS: Final = (
    select(model_state)
    .join_from(model_state, _USER_LOCKS.cte("locks"), true())
    .with_for_update(read=True, key_share=True, of=model_state)
)
_EXCLUSIVE: Final = text(f"LOCK TABLE {model_state.name} IN EXCLUSIVE MODE")
