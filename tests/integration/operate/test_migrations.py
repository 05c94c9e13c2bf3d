"""Migrations end in the tables that the code expects, and two services may share a database."""

import asyncio
from types import ModuleType
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, select, text

import consumption_service
import recommendation_service
from consumption_service.tables import metadata as consumption_tables
from recommendation_service.tables import metadata as recommendation_tables
from shared.database.database import Database, open_database
from shared.database.engines import parse_url
from shared.database.migrate import migrate

SERVICES = {
    consumption_service: consumption_tables,
    recommendation_service: recommendation_tables,
}

EARLIER = text("UPDATE model_state SET version = 3, applied = 7")


def differences(connection: Connection, expected: MetaData) -> list[Any]:
    """What a further migration would have to do."""

    def is_ours(name: str | None, kind: str, _: object) -> bool:
        return kind != "table" or name in expected.tables

    options = {"include_name": is_ours, "compare_type": False}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), expected))


async def differences_in(database: Database, expected: MetaData) -> list[Any]:
    async with database.write() as connection:
        return await connection.run_sync(differences, expected)


@pytest.mark.parametrize("service", list(SERVICES), ids=lambda service: service.__name__)
async def test_from_nothing_migrations_end_in_what_the_code_expects(
    database_url: str, service: ModuleType
) -> None:
    async with open_database(database_url) as database:
        await migrate(database, service)

        assert await differences_in(database, SERVICES[service]) == []


async def test_what_earlier_versions_stored_is_kept(database_url: str) -> None:
    async with open_database(database_url) as database:
        for service in SERVICES:
            await migrate(database, service, "0001")
        async with database.write() as connection:
            await connection.execute(EARLIER)

        for service, expected in SERVICES.items():
            await migrate(database, service)
            assert await differences_in(database, expected) == []

        async with database.read() as connection:
            state = await connection.execute(select(recommendation_tables.tables["model_state"]))
            assert state.one().applied == 7


async def test_both_services_may_live_in_one_database(database_url: str) -> None:
    async with open_database(database_url) as database:
        for service in SERVICES:
            await migrate(database, service)

        for expected in SERVICES.values():
            assert await differences_in(database, expected) == []


async def test_processes_that_start_together_take_turns(postgres_database: str) -> None:
    async with open_database(postgres_database) as one, open_database(postgres_database) as two:
        databases = [one, two] * 3

        await asyncio.gather(*(migrate(database, consumption_service) for database in databases))

        assert await differences_in(one, consumption_tables) == []


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    async with open_database(database_url) as database:
        for _ in range(2):
            await migrate(database, recommendation_service)

        assert await differences_in(database, recommendation_tables) == []


@pytest.mark.parametrize(
    ("url", "driver", "query"),
    [
        ("postgresql://u:p@h/d", "postgresql+asyncpg", {}),
        ("postgres://u:p@h/d?sslmode=require", "postgresql+asyncpg", {"sslmode": "require"}),
        ("postgresql+psycopg://u:p@h/d", "postgresql+asyncpg", {}),
        ("sqlite:///var/x.db", "sqlite+aiosqlite", {}),
    ],
)
def test_urls_that_people_have_are_understood(url: str, driver: str, query: dict[str, str]) -> None:
    parsed = parse_url(url)

    assert parsed.drivername == driver
    assert dict(parsed.query) == query
