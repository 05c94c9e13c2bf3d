"""Retention: delete rows that have served their time, so that tables do not grow for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy import ColumnElement, Table, delete, select

from shared.database.database import Database, DatabaseUnavailable
from shared.process.background import log_and_continue

INTERVAL: Final = 60.0  # seconds between two looks
PORTION: Final = 5000  # rows in one transaction, so that nobody waits long for it


async def run_retention(forget: Callable[[], Awaitable[None]]) -> None:
    """Forget now and then, for ever."""
    while True:
        with log_and_continue(DatabaseUnavailable, "old rows stay for now"):
            await forget()
        await asyncio.sleep(INTERVAL)


async def delete_where(database: Database, table: Table, condition: ColumnElement[bool]) -> None:
    """Delete the rows of a table with a single key column, portion by portion."""
    (key,) = table.primary_key.columns
    portion = select(key).where(condition).limit(PORTION)
    gone = PORTION
    while gone == PORTION:
        async with database.write() as connection:
            gone = (await connection.execute(delete(table).where(key.in_(portion)))).rowcount
