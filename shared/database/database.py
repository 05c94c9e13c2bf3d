"""Databases: PostgreSQL and SQLite behind the same few lines of SQLAlchemy.

A unit of work is `async with database.write()`: one transaction, committed when the block ends.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from datetime import UTC, datetime
from ssl import SSLCertVerificationError
from typing import Final, TypeVar

from asyncpg import PostgresError
from asyncpg.exceptions import ClientConfigurationError, InterfaceError
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    Dialect,
    Executable,
    TableValuedAlias,
    TypeDecorator,
    any_,
    bindparam,
    func,
    text,
)
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import InterfaceError as DriverError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import override

from shared.database.engines import parse_url, postgresql_engine, sqlite_engine
from shared.errors import CannotStart, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

STARTUP_TIMEOUT: Final = 30.0  # seconds to wait for a database that is not up yet
STATEMENT_TIMEOUT: Final = 10.0  # seconds that a statement may take

AWAY: Final = (OSError, TimeoutError, PoolTimeout, OperationalError, DriverError, InterfaceError)
# Classes of SQLSTATE: connection, state of the transaction (read-only, as a standby is), rolled
# back, resources, not now, operator intervention, system.
PASSING: Final = frozenset({"08", "25", "40", "53", "55", "57", "58"})
REFUSALS: Final = frozenset({"28", "3D"})  # the login, and the name of the database


class DatabaseUnavailable(Unavailable):
    """The database is away, restarting or overloaded: the same may succeed later.

    A transaction that was being committed may have happened, or not.
    """


class DatabaseRefused(DatabaseUnavailable):
    """The database answers, and refuses us: a password, a right or the database is missing."""


class _StoredAsUtc(TypeDecorator[datetime]):
    impl = DateTime
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value else None


# An aware instant. SQLite has no time zones: there it is stored as UTC.
UtcTime: Final = DateTime(timezone=True).with_variant(_StoredAsUtc(), "sqlite")


class Database:
    """One database, reached through a pool of connections."""

    def __init__(self, url: str, statement_timeout: float | None = STATEMENT_TIMEOUT) -> None:
        self.url = parse_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = (
            sqlite_engine(self.url)
            if self.is_sqlite
            else postgresql_engine(self.url, statement_timeout)
        )
        # A read is one statement, so it needs no transaction of its own on PostgreSQL.
        self._reading = self.engine.execution_options(
            **({"begin": "BEGIN"} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"})
        )
        # SQLite has one writer at a time; waiting here is cheaper than polling its lock.
        self._turn: AbstractAsyncContextManager[None] = (
            asyncio.Lock() if self.is_sqlite else nullcontext()
        )

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction; it is committed when the block ends, rolled back if it raises."""
        with _translated_errors():
            async with self._turn, self.engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for single reading statements."""
        with _translated_errors():
            async with self._reading.connect() as connection:
                yield connection

    async def execute_autocommit(
        self, statement: Executable, parameters: Mapping[str, object]
    ) -> int:
        """Carry out one statement, a transaction of its own; return how many rows it wrote.

        On PostgreSQL only.
        """
        async with self.read() as connection:
            return (await connection.execute(statement, parameters)).rowcount

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that sees the database as of its first statement."""
        engine = (
            self._reading
            if self.is_sqlite
            else self.engine.execution_options(isolation_level="REPEATABLE READ")
        )
        with _translated_errors():
            async with engine.connect() as connection:
                yield connection

    def is_any_of(self, column: ColumnElement[T], values: Collection[T]) -> ColumnElement[bool]:
        """Return the condition that the column is one of the values.

        On PostgreSQL it is one array parameter, so the statement is prepared once for all sizes.
        """
        if self.is_sqlite:
            return column.in_(values)
        return column == any_(bindparam(None, list(values), ARRAY(column.type)))

    def values_table(self, column: ColumnElement[T], values: Collection[int]) -> TableValuedAlias:
        """Return whole numbers as a table to select from, a row with its `value` for each."""
        if self.is_sqlite:
            return func.json_each(json.dumps(list(values))).table_valued("value")
        array = bindparam(None, list(values), ARRAY(column.type))
        return func.unnest(array).table_valued("value").render_derived()

    async def ping(self) -> None:
        """Raise `DatabaseUnavailable` unless the database answers."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


@asynccontextmanager
async def open_database(
    url: str,
    *,
    patience: float = STARTUP_TIMEOUT,
    statement_timeout: float | None = STATEMENT_TIMEOUT,
) -> AsyncIterator[Database]:
    """Wait until the database answers, and close it at the end.

    Raises `CannotStart` at once when it refuses, or when it does not answer within `patience`
    seconds. A statement of whoever has no request to answer may take as long as it takes: None.
    """
    database = Database(url, statement_timeout)
    try:
        await _wait_for(database, patience)
        yield database
    finally:
        await database.close()


async def _wait_for(database: Database, patience: float) -> None:
    shown = database.url.render_as_string(hide_password=True)
    deadline = asyncio.get_running_loop().time() + patience
    told = None
    while True:
        try:
            return await database.ping()
        except DatabaseRefused as refusal:
            raise CannotStart(f"The database {shown} refuses: {refusal}.") from None
        except DatabaseUnavailable as outage:
            why = str(outage)
        if asyncio.get_running_loop().time() > deadline:
            raise CannotStart(f"The database {shown} cannot be used: {why}.")
        if why != told:
            log.warning("waiting for the database %s: %s", shown, why)
            told = why
        await asyncio.sleep(1)


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Turn the many errors that mean "away" into the one that callers handle."""
    try:
        yield
    except (SSLCertVerificationError, ClientConfigurationError) as error:
        raise DatabaseRefused(_in_one_line(error)) from error
    except (*AWAY, PostgresError) as error:
        raise DatabaseUnavailable(_in_one_line(error)) from error
    except DBAPIError as error:
        state = (getattr(error.orig, "sqlstate", None) or "")[:2]
        if state in REFUSALS:
            raise DatabaseRefused(_in_one_line(error)) from error
        if state in PASSING or error.connection_invalidated:
            raise DatabaseUnavailable(_in_one_line(error)) from error
        raise


def _in_one_line(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, SSLCertVerificationError):
        return f"its certificate is not to be trusted: {cause.verify_message}".rstrip(".")
    text_of_cause = str(cause).strip() or type(cause).__name__
    return text_of_cause.splitlines()[0].rstrip(".")
