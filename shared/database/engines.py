"""Engines of SQLAlchemy, configured for PostgreSQL and for SQLite."""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.errors import CannotStart

POOL_TIMEOUT: Final = 5.0  # seconds to wait for a free connection
POOL_SIZE: Final = 8
BUSY_TIMEOUT: Final = 10_000  # milliseconds that SQLite waits for another process's lock


def parse_url(url: str) -> URL:
    """Return the URL with the driver of this project.

    It accepts plain `postgresql://`, `postgres://` and `sqlite://` URLs.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise CannotStart(
            "The database URL is not a URL (postgresql://… or sqlite:///…)."
        ) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return parsed.set(drivername="sqlite+aiosqlite")
    if backend not in {"postgresql", "postgres"}:
        raise CannotStart(f"The database URL names {backend}; supported: postgresql, sqlite.")
    return parsed.set(drivername="postgresql+asyncpg")


def require_postgresql(database_url: str) -> None:
    """Raise `CannotStart` if the database is for one process only."""
    if parse_url(database_url).get_backend_name() == "sqlite":
        raise CannotStart("WORKERS needs PostgreSQL: SQLite is for one process.")


def postgresql_engine(url: URL, statement_timeout: float | None) -> AsyncEngine:
    """Return the engine for PostgreSQL, through asyncpg.

    asyncpg itself reads the TLS options of the URL (`sslmode`, `sslrootcert` and so on), as libpq
    does. SQLAlchemy would pass them as arguments, but asyncpg takes them from a URL only.
    """
    tls = {key: value for key, value in url.query.items() if key.startswith("ssl")}
    authority = tls.get("sslrootcert")
    if isinstance(authority, str) and not Path(authority).is_file():
        raise CannotStart(f"The database URL: there is no file {authority} (sslrootcert).")
    return create_async_engine(
        url.difference_update_query(tls),
        pool_size=POOL_SIZE,
        pool_timeout=POOL_TIMEOUT,
        # The connection that was used last is used next: its process on the server has warm caches.
        pool_use_lifo=True,
        pool_pre_ping=False,
        hide_parameters=True,
        connect_args={
            "dsn": URL.create("postgresql", query=tls).render_as_string(),
            "timeout": POOL_TIMEOUT,
            "command_timeout": statement_timeout,
            "server_settings": {"application_name": "upnext"},
        },
    )


def sqlite_engine(url: URL) -> AsyncEngine:
    """Return the engine for SQLite, in a mode where readers do not block the writer."""
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        url,
        pool_size=POOL_SIZE,
        hide_parameters=True,
        connect_args={"isolation_level": None},
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a commit is on disk, as with PostgreSQL
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads and then writes may fail half-way, so it takes the lock at once.
    begin = connection.get_execution_options().get("begin", "BEGIN IMMEDIATE")
    connection.exec_driver_sql(begin)
