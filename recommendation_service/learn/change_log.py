"""Advance: make what a transaction found out the next version of the model, last of all it does.

From here until the end of the transaction learners take turns.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.learn.interactions import First, bounds_of, rows_of, write_meetings
from recommendation_service.learn.watch_states import Pair
from recommendation_service.model.encoding import encode
from recommendation_service.model.fingerprint import BITS, MODULUS, fingerprint
from recommendation_service.model.history import Change
from recommendation_service.tables import meetings, model_changes, model_state
from shared.clock import utc_now
from shared.database.bulk import columns_of, upsert_statement
from shared.database.database import Database


class News(NamedTuple):
    """What a transaction found out."""

    change: Change = Change()
    met: Mapping[Pair, First] = MappingProxyType({})  # when pairs meet now
    through: datetime | None = None  # when the latest event was recorded
    applied: int = 0  # events that were learned
    duplicates: int = 0  # events that were known


class Advanced(NamedTuple):
    """The version of the model after a transaction, and how it came about."""

    version: int
    change: Change
    through: datetime | None


async def advance(
    database: Database, connection: AsyncConnection, news: News, state: Row[Any] | None = None
) -> Advanced:
    """Make the news the next version of the model, and put its change into the log.

    From here until the end of the transaction learners take turns. So the versions appear in their
    order, and each sees what those before it left: the `state` of the beginning, as a rule.
    """
    if state is None or news.change.lost or None in news.met.values():
        await write_meetings(connection, news.met)
        state = (await connection.execute(_STATE)).one()
        news = news._replace(change=await _dated(database, connection, news.change), met={})
    while (advanced := await _follow(connection, state, news)) is None:
        state = (await connection.execute(_STATE)).one()  # and nobody else changes it from now on
    return advanced


async def _follow(connection: AsyncConnection, state: Row[Any], news: News) -> Advanced | None:
    """Store what was met, and let the news follow this state; None if another came in between."""
    change = news.change
    difference = fingerprint(change.added) - fingerprint(change.removed)
    version = state.version + bool(change)
    through = max(filter(None, (state.applied_through, news.through)), default=None)
    following = {
        "known": state.version,
        "counted": state.applied + state.duplicates,
        "version": version,
        "fingerprint": _plus(state.fingerprint, difference),
        "applied": state.applied + news.applied,
        "duplicates": state.duplicates + news.duplicates,
        "applied_through": through,
    }
    if change:
        following |= {"change": encode(change), "learned_at": utc_now()}
    if not await _write(connection, following, news):
        return None
    return Advanced(version, change, through)


async def _write(connection: AsyncConnection, following: dict[str, object], news: News) -> bool:
    if connection.dialect.name != "sqlite" and news.change and news.met:
        rows = columns_of({meetings: rows_of(news.met)})
        return bool((await connection.execute(_MEET_AND_FOLLOW, following | rows)).rowcount)
    await write_meetings(connection, news.met)
    is_next = bool((await connection.execute(_FOLLOW, following)).rowcount)
    if is_next and news.change:
        await connection.execute(_LOG, following)
    return is_next


async def _dated(database: Database, connection: AsyncConnection, change: Change) -> Change:
    """Return the change with when the lessons that lost a meeting are met now."""
    if not change.lost:
        return change
    return change.with_bounds(await bounds_of(database, connection, change.lost))


def _plus(stored: bytes, difference: int) -> bytes:
    after = int.from_bytes(stored, "big") + difference
    return (after % MODULUS).to_bytes(BITS // 8, "big")


# Made once: to put a statement together takes longer than to carry it out.
_STATE: Final = select(model_state).with_for_update(key_share=True)
_FOLLOWING: Final = ("version", "fingerprint", "applied", "duplicates", "applied_through")
_FOLLOW: Final = (
    update(model_state)
    .where(
        model_state.c.version == bindparam("known"),
        model_state.c.applied + model_state.c.duplicates == bindparam("counted"),
    )
    .values({name: bindparam(name) for name in _FOLLOWING})
)
_RECORDED: Final = {
    column.name: bindparam(column.name, type_=column.type) for column in model_changes.c
}
_LOG: Final = insert(model_changes).values(_RECORDED)
# On PostgreSQL in one statement, with what was met.
_FOLLOWED: Final = _FOLLOW.returning(model_state.c.version).cte("followed")
_MEET_AND_FOLLOW: Final = (
    insert(model_changes)
    .from_select(list(_RECORDED), select(*_RECORDED.values()).select_from(_FOLLOWED))
    .add_cte(upsert_statement(meetings, "postgresql").cte())
)
