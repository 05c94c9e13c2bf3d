"""Many rows in one statement.

On PostgreSQL each column is one array parameter: the statement is sent, planned and answered once,
however many rows there are. It is built once, too.
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

Rows = Sequence[Sequence[object]]  # with a value for each column of a table, in its order
Insert = postgresql.Insert | sqlite.Insert
Condition = Callable[[Any], ColumnElement[bool]]  # of a row, given its columns

STATEMENTS: Final = 32  # that are kept; there are a few for each table


async def insert_rows(connection: AsyncConnection, rows: Mapping[Table, Rows]) -> None:
    """Insert rows into tables: on PostgreSQL into all of them with one statement."""
    some = {table: its for table, its in rows.items() if its}
    if connection.dialect.name == "sqlite":
        for table, its in some.items():
            await connection.execute(_insert(table, "sqlite"), _parameters(connection, table, its))
    elif some:
        await connection.execute(_insert_all(*some), columns_of(some))


async def insert_new_rows(
    connection: AsyncConnection, table: Table, rows: Rows
) -> set[tuple[Any, ...]]:
    """Insert the rows whose primary key is not there yet, and return the keys of these."""
    if not rows:
        return set()
    statement = _insert_new(table, connection.dialect.name)
    keys = await connection.execute(statement, _parameters(connection, table, rows))
    return {tuple(key) for key in keys}


async def upsert_rows(connection: AsyncConnection, table: Table, rows: Rows) -> None:
    """Insert rows, or overwrite those with the same primary key; no key may come twice."""
    if rows:
        statement = upserting(table, connection.dialect.name)
        await connection.execute(statement, _parameters(connection, table, rows))


async def delete_rows(connection: AsyncConnection, key: Column[T], values: Collection[T]) -> None:
    """Delete the rows whose key is one of the values."""
    if not values:
        return
    is_sqlite = connection.dialect.name == "sqlite"
    statement = _delete_listed(key) if is_sqlite else _delete_in_array(key)
    await connection.execute(statement, {"values": list(values)})


def columns_of(rows: Mapping[Table, Rows]) -> dict[str, list[object]]:
    """Return the parameters of what `insert_columns` made, from some rows for each table."""
    return {
        str(column): list(values)
        for table, its in rows.items()
        for column, values in zip(table.columns, zip(*its, strict=True), strict=True)
    }


def insert_columns(table: Table, where: Condition | None = None) -> postgresql.Insert:
    """Return the statement that inserts rows on PostgreSQL, each column of them a parameter.

    With a condition only the rows that meet it.
    """
    names = table.columns.keys()
    # One dimension: a value that is a list itself, as JSON may be, is one value.
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


@lru_cache(STATEMENTS)
def _insert(table: Table, dialect: str) -> Insert:
    return sqlite.insert(table) if dialect == "sqlite" else insert_columns(table)


@lru_cache(STATEMENTS)
def _insert_all(first: Table, *others: Table) -> Insert:
    statement = _insert(first, "postgresql")
    return statement.add_cte(*(_insert(other, "postgresql").cte() for other in others))


@lru_cache(STATEMENTS)
def _insert_new(table: Table, dialect: str) -> Executable:
    statement = _insert(table, dialect).on_conflict_do_nothing()
    return statement.returning(*table.primary_key.columns)


@lru_cache(STATEMENTS)
def upserting(table: Table, dialect: str) -> Insert:
    """Return the statement that inserts rows, and overwrites those with the same primary key."""
    statement = _insert(table, dialect)
    key = list(table.primary_key.columns)
    others = {
        column.name: column
        for column in statement.excluded
        if column.name not in table.primary_key.columns
    }
    return statement.on_conflict_do_update(index_elements=key, set_=others)


@lru_cache(STATEMENTS)
def _delete_in_array(key: Column[Any]) -> Delete:
    return delete(key.table).where(key == any_(bindparam("values", None, ARRAY(key.type))))


@lru_cache(STATEMENTS)
def _delete_listed(key: Column[Any]) -> Delete:
    return delete(key.table).where(key.in_(bindparam("values", expanding=True)))
