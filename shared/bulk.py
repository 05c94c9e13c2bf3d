"""Many rows in one statement.

On PostgreSQL each column is one array parameter: the statement is sent, planned and answered once,
however many rows there are. It is built once, too.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

from sqlalchemy import (
    ARRAY,
    Column,
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

STATEMENTS: Final = 32  # that are kept; there are a few for each table


async def insert_rows(connection: AsyncConnection, rows: Mapping[Table, Rows]) -> None:
    """Insert rows into tables: on PostgreSQL into all of them with one statement."""
    parameters = {table: _parameters(connection, table, its) for table, its in rows.items() if its}
    if connection.dialect.name == "sqlite":
        for table, values in parameters.items():
            await connection.execute(_insert(table, "sqlite"), values)
    elif parameters:
        of_all = {name: values for one in parameters.values() for name, values in one.items()}
        await connection.execute(_insert_all(*parameters), of_all)


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
        statement = _upsert(table, connection.dialect.name)
        await connection.execute(statement, _parameters(connection, table, rows))


async def delete_rows(connection: AsyncConnection, key: Column[T], values: Collection[T]) -> None:
    """Delete the rows whose key is one of the values."""
    if not values:
        return
    is_sqlite = connection.dialect.name == "sqlite"
    statement = _delete_listed(key) if is_sqlite else _delete_in_array(key)
    await connection.execute(statement, {"values": list(values)})


def _parameters(connection: AsyncConnection, table: Table, rows: Rows) -> Any:
    if connection.dialect.name == "sqlite":
        names = table.columns.keys()
        return [dict(zip(names, row, strict=True)) for row in rows]
    columns = zip(*rows, strict=True)
    return {str(name): list(its) for name, its in zip(table.columns, columns, strict=True)}


@lru_cache(STATEMENTS)
def _insert(table: Table, dialect: str) -> Insert:
    if dialect == "sqlite":
        return sqlite.insert(table)
    names = table.columns.keys()
    # One dimension: a value that is a list itself, as JSON may be, is one value.
    arrays = [
        bindparam(str(column), None, ARRAY(column.type, dimensions=1)) for column in table.columns
    ]
    rows = func.unnest(*arrays).table_valued(*names).render_derived()
    return postgresql.insert(table).from_select(names, select(*rows.columns))


@lru_cache(STATEMENTS)
def _insert_all(first: Table, *others: Table) -> Insert:
    statement = _insert(first, "postgresql")
    return statement.add_cte(*(_insert(other, "postgresql").cte() for other in others))


@lru_cache(STATEMENTS)
def _insert_new(table: Table, dialect: str) -> Executable:
    statement = _insert(table, dialect).on_conflict_do_nothing()
    return statement.returning(*table.primary_key.columns)


@lru_cache(STATEMENTS)
def _upsert(table: Table, dialect: str) -> Executable:
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
