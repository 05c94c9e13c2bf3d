"""Model state: the one row that says how far learning has come."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Executable, select
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.tables import model_state


class ModelState(NamedTuple):
    """The row of `model_state`, in the order of its columns."""

    id: int
    version: int
    fingerprint: bytes
    applied: int  # distinct events learned
    duplicates: int  # deliveries of events that were learned before
    applied_through: datetime | None  # when the latest learned event was recorded
    inbox_since: datetime | None  # the inbox may have deleted events learned before; None: none
    erased_users: int  # tombstones


async def read_model_state(
    connection: AsyncConnection,
    query: Executable | None = None,
    parameters: dict[str, object] | None = None,
) -> ModelState:
    """Return the row; `query` selects its columns in their order, by default without a lock."""
    statement = _READ if query is None else query
    return ModelState(*(await connection.execute(statement, parameters)).one())


_READ: Final = select(model_state)
