"""Many rows in one statement.

On PostgreSQL each column is one array parameter: the statement is sent, planned and answered once,
however many rows there are. It is built once, too.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    Column,
    Delete,
    Insert,
    Table,
    any_,
    bindparam,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")


async def insert_rows(
    connection: AsyncConnection, table: Table, rows: Sequence[Sequence[object]]
) -> None:
    """Insert rows that have a value for each column of the table, in its order."""
    if not rows:
        return
    names = table.columns.keys()
    if connection.dialect.name == "sqlite":
        named = [dict(zip(names, row, strict=True)) for row in rows]
        await connection.execute(insert(table), named)
        return
    columns = zip(*rows, strict=True)
    arrays = {name: list(values) for name, values in zip(names, columns, strict=True)}
    await connection.execute(_insert_of_arrays(table), arrays)


async def delete_rows(connection: AsyncConnection, key: Column[T], values: Collection[T]) -> None:
    """Delete the rows whose key is one of the values."""
    if not values:
        return
    is_sqlite = connection.dialect.name == "sqlite"
    statement = _delete_listed(key) if is_sqlite else _delete_in_array(key)
    await connection.execute(statement, {"values": list(values)})


@lru_cache(maxsize=32)
def _insert_of_arrays(table: Table) -> Insert:
    names = table.columns.keys()
    arrays = [bindparam(column.key, None, ARRAY(column.type)) for column in table.columns]
    rows = func.unnest(*arrays).table_valued(*names).render_derived()
    return insert(table).from_select(names, select(*rows.columns))


@lru_cache(maxsize=32)
def _delete_in_array(key: Column[Any]) -> Delete:
    return delete(key.table).where(key == any_(bindparam("values", None, ARRAY(key.type))))


@lru_cache(maxsize=32)
def _delete_listed(key: Column[Any]) -> Delete:
    return delete(key.table).where(key.in_(bindparam("values", expanding=True)))
