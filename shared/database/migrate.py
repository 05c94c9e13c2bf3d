"""Migrations: upgrade a service's tables to the version that its code expects.

Each service has its own version table, so both can share one database. Processes that start
together migrate one after the other.
"""

from pathlib import Path
from types import ModuleType
from typing import Final

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData, text

from shared.database.database import Database

LOCK: Final = 7_253_649_810  # the advisory lock of migrating processes; an arbitrary number


async def migrate(database: Database, service: ModuleType, version: str = "head") -> None:
    """Upgrade the tables of the service, to the newest version by default, in one transaction."""
    async with database.write() as connection:
        if not database.is_sqlite:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        await connection.run_sync(_upgrade, service, version)


def _upgrade(connection: Connection, service: ModuleType, version: str) -> None:
    assert service.__file__  # noqa: S101 - our services are packages with a file
    config = Config()
    config.set_main_option("script_location", str(Path(service.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, version)


def run_migrations(metadata: MetaData, service: str) -> None:
    """Run the migrations that Alembic has chosen; the `env.py` of each service calls it."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        version_table=f"{service}_version",
        transactional_ddl=False,  # the caller's transaction encloses all
    )
    context.run_migrations()
