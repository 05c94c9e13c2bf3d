"""Retention: delete expired rows, so that tables do not grow for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy import ColumnElement, Table, delete, select

from shared.database.database import Database, DatabaseUnavailable
from shared.process.background import log_and_continue

INTERVAL: Final = 60.0  # seconds between two deletions
BATCH_SIZE: Final = 5000  # rows in one transaction, so that nothing waits for it long


async def run_retention(forget: Callable[[], Awaitable[None]]) -> None:
    """Call `forget` at intervals, for ever."""
    while True:
        with log_and_continue(DatabaseUnavailable, "old rows stay for now"):
            await forget()
        await asyncio.sleep(INTERVAL)


async def delete_where(database: Database, table: Table, condition: ColumnElement[bool]) -> None:
    """Delete the rows of a table with a single key column, in batches."""
    (key,) = table.primary_key.columns
    batch = select(key).where(condition).limit(BATCH_SIZE)
    deleted = BATCH_SIZE
    while deleted == BATCH_SIZE:
        async with database.write() as connection:
            deleted = (await connection.execute(delete(table).where(key.in_(batch)))).rowcount
