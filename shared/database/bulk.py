"""Bulk statements: insert, upsert or delete many rows at once.

On PostgreSQL each column is one array parameter, so a statement is built, planned and answered once
for any number of rows.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Delete,
    Executable,
    Table,
    any_,
    bindparam,
    delete,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")

Rows = Sequence[Sequence[object]]  # each has a value for each column of a table, in order
Insert = postgresql.Insert | sqlite.Insert
Condition = Callable[[Any], ColumnElement[bool]]  # on a row, given its columns

MAX_STATEMENTS: Final = 32  # that are cached; there are a few for each table


async def insert_rows(connection: AsyncConnection, rows: Mapping[Table, Rows]) -> None:
    """Insert rows into tables: on PostgreSQL into all of them with one statement."""
    tables = {table: inserted for table, inserted in rows.items() if inserted}
    if connection.dialect.name == "sqlite":
        for table, inserted in tables.items():
            parameters = _parameters(connection, table, inserted)
            await connection.execute(_insert(table, "sqlite"), parameters)
    elif tables:
        await connection.execute(_insert_all(*tables), columns_of(tables))


async def insert_new_rows(
    connection: AsyncConnection, table: Table, rows: Rows
) -> set[tuple[Any, ...]]:
    """Insert the rows whose primary key does not exist yet; return the keys of these."""
    if not rows:
        return set()
    statement = _insert_new(table, connection.dialect.name)
    keys = await connection.execute(statement, _parameters(connection, table, rows))
    return {tuple(key) for key in keys}


async def upsert_rows(connection: AsyncConnection, table: Table, rows: Rows) -> None:
    """Insert rows, or overwrite those with the same primary key; the keys must be distinct."""
    if rows:
        statement = upsert_statement(table, connection.dialect.name)
        await connection.execute(statement, _parameters(connection, table, rows))


async def delete_rows(connection: AsyncConnection, key: Column[T], values: Collection[T]) -> None:
    """Delete the rows whose key is any of the values."""
    if not values:
        return
    is_sqlite = connection.dialect.name == "sqlite"
    statement = _delete_in_list(key) if is_sqlite else _delete_in_array(key)
    await connection.execute(statement, {"values": list(values)})


def columns_of(rows: Mapping[Table, Rows]) -> dict[str, list[object]]:
    """Return the parameters of an `insert_columns` statement: at least one row for each table."""
    return {
        str(column): list(values)
        for table, inserted in rows.items()
        for column, values in zip(table.columns, zip(*inserted, strict=True), strict=True)
    }


def insert_columns(table: Table, where: Condition | None = None) -> postgresql.Insert:
    """Return the statement that inserts rows on PostgreSQL, with one parameter for each column.

    With a condition it inserts only the rows that meet it.
    """
    names = table.columns.keys()
    # With one dimension, a value that is a list itself, as JSON may be, stays one value.
    arrays = [
        bindparam(str(column), None, ARRAY(column.type, dimensions=1)) for column in table.columns
    ]
    rows = func.unnest(*arrays).table_valued(*names).render_derived()
    query = select(*rows.columns)
    if where:
        query = query.where(where(rows.columns))
    return postgresql.insert(table).from_select(names, query)


def _parameters(connection: AsyncConnection, table: Table, rows: Rows) -> Any:
    if connection.dialect.name == "sqlite":
        names = table.columns.keys()
        return [dict(zip(names, row, strict=True)) for row in rows]
    return columns_of({table: rows})


@lru_cache(MAX_STATEMENTS)
def _insert(table: Table, dialect: str) -> Insert:
    return sqlite.insert(table) if dialect == "sqlite" else insert_columns(table)


@lru_cache(MAX_STATEMENTS)
def _insert_all(first: Table, *others: Table) -> Insert:
    statement = _insert(first, "postgresql")
    return statement.add_cte(*(_insert(other, "postgresql").cte() for other in others))


@lru_cache(MAX_STATEMENTS)
def _insert_new(table: Table, dialect: str) -> Executable:
    statement = _insert(table, dialect).on_conflict_do_nothing()
    return statement.returning(*table.primary_key.columns)


@lru_cache(MAX_STATEMENTS)
def upsert_statement(table: Table, dialect: str) -> Insert:
    """Return the statement that inserts rows, and overwrites those with the same primary key."""
    statement = _insert(table, dialect)
    key = list(table.primary_key.columns)
    updated = {
        column.name: column
        for column in statement.excluded
        if column.name not in table.primary_key.columns
    }
    return statement.on_conflict_do_update(index_elements=key, set_=updated)


@lru_cache(MAX_STATEMENTS)
def _delete_in_array(key: Column[Any]) -> Delete:
    return delete(key.table).where(key == any_(bindparam("values", None, ARRAY(key.type))))


@lru_cache(MAX_STATEMENTS)
def _delete_in_list(key: Column[Any]) -> Delete:
    return delete(key.table).where(key.in_(bindparam("values", expanding=True)))
