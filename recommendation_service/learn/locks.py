"""Turn: who may change what is known at the same time.

Learners work side by side: each keeps the users of its batch to itself, and the others wait for
these alone. Whoever changes more than some users' histories works when nobody learns.

On SQLite a transaction that writes has the database to itself.
"""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, Row, bindparam, func, select, text, true
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.tables import model_state
from shared.ids import UserId

MOST: Final = 200  # users that are locked one by one: a lock takes room that all sessions share


async def learn_beside_others(connection: AsyncConnection, users: Collection[UserId]) -> Row[Any]:
    """Wait until nobody else learns of these users, keep it so, and return the state.

    Until the transaction ends, nobody changes what is erased and what the inbox may forget; others
    who learn change the rest.
    """
    if len(users) > MOST:
        return await alone(connection)
    if connection.dialect.name == "sqlite":
        return (await connection.execute(_BESIDE)).one()
    # In an order in which nobody waits in a circle.
    return (await connection.execute(_BESIDE_BUT_MINE, {"users": sorted(users)})).one()


async def beside_learners(connection: AsyncConnection) -> None:
    """Wait until nobody works alone, and keep it so until the transaction ends."""
    await connection.execute(_BESIDE)


async def alone(connection: AsyncConnection) -> Row[Any]:
    """Wait until nobody learns, keep it so until the transaction ends, and return the state."""
    if connection.dialect.name != "sqlite":
        await connection.execute(_ALONE)
    return (await connection.execute(select(model_state))).one()


# Made once: to put a statement together takes longer than to carry it out.
#
# To lock a row locks its table a little: `_ALONE` waits for all who did, and they for it, in the
# order in which they came. The row's own lock makes it the latest one, whatever else was waited
# for, and is of the kind that an update of the row does not wait for.
_BESIDE: Final = select(model_state).with_for_update(read=True, key_share=True)
_USERS: Final = func.unnest(bindparam("users", None, ARRAY(BigInteger))).table_valued("id")
_LOCKS: Final = select(func.count(func.pg_advisory_xact_lock(_USERS.render_derived().c.id)))
_BESIDE_BUT_MINE: Final = (
    select(model_state)
    .join_from(model_state, _LOCKS.cte("locks"), true())
    .with_for_update(read=True, key_share=True, of=model_state)
)
_ALONE: Final = text(f"LOCK TABLE {model_state.name} IN EXCLUSIVE MODE")
