"""Change log: append the change of a transaction as the next version of the model.

Replicas follow the log, see `replicate/model_replica.py`. Appending locks the model state until the
transaction ends: other learners wait for that, so that versions are committed in their order.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.learn.interactions import (
    FirstWatchedAt,
    read_bounds,
    rows_of,
    write_interactions,
)
from recommendation_service.learn.model_state import ModelState, read_model_state
from recommendation_service.learn.watch_states import Pair
from recommendation_service.model.encoding import encode
from recommendation_service.model.fingerprint import BITS, MODULUS, fingerprint
from recommendation_service.model.history import Change
from recommendation_service.tables import interactions, model_changes, model_state
from shared.clock import utc_now
from shared.database.bulk import columns_of, upsert_statement
from shared.database.database import Database


class LogEntry(NamedTuple):
    """What a transaction changes."""

    change: Change = Change()
    interactions: Mapping[Pair, FirstWatchedAt] = MappingProxyType({})  # to be stored with it
    through: datetime | None = None  # when the latest event was recorded
    applied: int = 0  # events that were learned
    duplicates: int = 0  # deliveries of events that were learned before


class Version(NamedTuple):
    """The version of the model after a transaction."""

    number: int
    change: Change  # from the version before; empty: the number is that of the version before
    through: datetime | None


async def append(
    database: Database,
    connection: AsyncConnection,
    entry: LogEntry,
    state: ModelState | None = None,
) -> Version:
    """Append the entry to the log, and store its interactions.

    `state` is the model state that the transaction read at its beginning. As a rule it still holds,
    and one round trip is enough.
    """
    if state is None or entry.change.lost or None in entry.interactions.values():
        # The bounds of a lesson that loses an interaction depend on the other learners' work.
        await write_interactions(connection, entry.interactions)
        state = await read_model_state(connection, _LOCK)
        change = await _with_bounds(database, connection, entry.change)
        entry = entry._replace(change=change, interactions={})
    while (version := await _append_after(connection, state, entry)) is None:
        state = await read_model_state(connection, _LOCK)  # nobody else changes it from now on
    return version


async def _append_after(
    connection: AsyncConnection, state: ModelState, entry: LogEntry
) -> Version | None:
    """Append the entry after this state; None if another transaction was first."""
    change = entry.change
    difference = fingerprint(change.added) - fingerprint(change.removed)
    number = state.version + bool(change)
    through = max(filter(None, (state.applied_through, entry.through)), default=None)
    row = {
        "known": state.version,
        "counted": state.applied + state.duplicates,
        "version": number,
        "fingerprint": _plus(state.fingerprint, difference),
        "applied": state.applied + entry.applied,
        "duplicates": state.duplicates + entry.duplicates,
        "applied_through": through,
    }
    if change:
        row |= {"change": encode(change), "learned_at": utc_now()}
    return Version(number, change, through) if await _write(connection, row, entry) else None


async def _write(connection: AsyncConnection, row: dict[str, object], entry: LogEntry) -> bool:
    """Write the state and the log; return whether the state was the expected one."""
    if connection.dialect.name != "sqlite" and entry.change and entry.interactions:
        columns = columns_of({interactions: rows_of(entry.interactions)})
        return bool((await connection.execute(_APPEND_WITH_INTERACTIONS, row | columns)).rowcount)
    await write_interactions(connection, entry.interactions)
    is_next = bool((await connection.execute(_ADVANCE, row)).rowcount)
    if is_next and entry.change:
        await connection.execute(_APPEND, row)
    return is_next


async def _with_bounds(database: Database, connection: AsyncConnection, change: Change) -> Change:
    """Return the change with the bounds of the lessons that lose an interaction."""
    if not change.lost:
        return change
    return change.with_bounds(await read_bounds(database, connection, change.lost))


def _plus(stored: bytes, difference: int) -> bytes:
    after = int.from_bytes(stored, "big") + difference
    return (after % MODULUS).to_bytes(BITS // 8, "big")


_LOCK: Final = select(model_state).with_for_update(key_share=True)
_ADVANCED: Final = ("version", "fingerprint", "applied", "duplicates", "applied_through")
_ADVANCE: Final = (
    update(model_state)
    .where(
        model_state.c.version == bindparam("known"),
        model_state.c.applied + model_state.c.duplicates == bindparam("counted"),
    )
    .values({name: bindparam(name) for name in _ADVANCED})
)
_ENTRY: Final = {
    column.name: bindparam(column.name, type_=column.type) for column in model_changes.c
}
_APPEND: Final = insert(model_changes).values(_ENTRY)
# On PostgreSQL one statement does all of it.
_ADVANCED_STATE: Final = _ADVANCE.returning(model_state.c.version).cte("advanced")
_APPEND_WITH_INTERACTIONS: Final = (
    insert(model_changes)
    .from_select(list(_ENTRY), select(*_ENTRY.values()).select_from(_ADVANCED_STATE))
    .add_cte(upsert_statement(interactions, "postgresql").cte())
)
