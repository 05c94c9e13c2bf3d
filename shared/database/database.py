"""A database: PostgreSQL or SQLite behind one small interface.

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

UNAVAILABLE_ERRORS: Final = (
    OSError,
    TimeoutError,
    PoolTimeout,
    OperationalError,
    DriverError,
    InterfaceError,
)
# Classes of SQLSTATE: connection exception, invalid transaction state (a standby is read-only),
# transaction rollback, insufficient resources, object not in prerequisite state, operator
# intervention, system error.
TRANSIENT_SQLSTATES: Final = frozenset({"08", "25", "40", "53", "55", "57", "58"})
REFUSED_SQLSTATES: Final = frozenset({"28", "3D"})  # authorization, name of the database


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, is restarting or overloaded: a retry may succeed.

    A transaction whose commit was under way may be committed or not.
    """


class DatabaseRefused(DatabaseUnavailable):
    """The database answers, and refuses: a password, a permission or the database is missing."""


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
    """One database, and a pool of connections to it."""

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
        # SQLite has one writer at a time; waiting for a lock here is cheaper than polling its lock.
        self._write_lock: AbstractAsyncContextManager[None] = (
            asyncio.Lock() if self.is_sqlite else nullcontext()
        )

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction; it is committed when the block ends, rolled back if it raises."""
        with _translated_errors():
            async with self._write_lock, self.engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for read statements, each a transaction of its own."""
        with _translated_errors():
            async with self._reading.connect() as connection:
                yield connection

    async def execute_autocommit(
        self, statement: Executable, parameters: Mapping[str, object]
    ) -> int:
        """Execute one statement as a transaction of its own; return the number of rows it wrote.

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
        """Return whole numbers as a table to select from: one row with the column `value` each."""
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
    timeout: float = STARTUP_TIMEOUT,
    statement_timeout: float | None = STATEMENT_TIMEOUT,
) -> AsyncIterator[Database]:
    """Wait until the database answers, and close its connections at the end.

    Raises `CannotStart` at once when it refuses, or when it does not answer within `timeout`
    seconds. With `statement_timeout=None` a statement may take any time, for work outside requests.
    """
    database = Database(url, statement_timeout)
    try:
        await _wait_for(database, timeout)
        yield database
    finally:
        await database.close()


async def _wait_for(database: Database, timeout: float) -> None:
    name = database.url.render_as_string(hide_password=True)
    deadline = asyncio.get_running_loop().time() + timeout
    logged = None
    while True:
        try:
            return await database.ping()
        except DatabaseRefused as refusal:
            raise CannotStart(f"The database {name} refuses: {refusal}.") from None
        except DatabaseUnavailable as outage:
            why = str(outage)
        if asyncio.get_running_loop().time() > deadline:
            raise CannotStart(f"The database {name} cannot be used: {why}.")
        if why != logged:
            log.warning("waiting for the database %s: %s", name, why)
            logged = why
        await asyncio.sleep(1)


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Translate the errors of drivers and pool into the two that callers handle."""
    try:
        yield
    except (SSLCertVerificationError, ClientConfigurationError) as error:
        raise DatabaseRefused(_first_line(error)) from error
    except (*UNAVAILABLE_ERRORS, PostgresError) as error:
        raise DatabaseUnavailable(_first_line(error)) from error
    except DBAPIError as error:
        state = (getattr(error.orig, "sqlstate", None) or "")[:2]
        if state in REFUSED_SQLSTATES:
            raise DatabaseRefused(_first_line(error)) from error
        if state in TRANSIENT_SQLSTATES or error.connection_invalidated:
            raise DatabaseUnavailable(_first_line(error)) from error
        raise


def _first_line(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, SSLCertVerificationError):
        return f"its certificate is not to be trusted: {cause.verify_message}".rstrip(".")
    message = str(cause).strip() or type(cause).__name__
    return message.splitlines()[0].rstrip(".")
