"""Many rows in one statement, on each database."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest_asyncio
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, Uuid, select

from shared.database.bulk import delete_rows, insert_new_rows, insert_rows, upsert_rows
from shared.database.database import Database, UtcTime, open_database

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("owner", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Uuid, primary_key=True),
    Column("name", Text),
    Column("at", UtcTime, nullable=False),
)
owners = Table(
    "owners",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text),
)
NOW = datetime(2026, 11, 23, 10, 0, 0, 123_456, UTC)

Thing = tuple[int, UUID, str | None, datetime]


def a_thing(number: int, name: str | None = None) -> Thing:
    return number % 3, UUID(int=number), name, NOW + timedelta(microseconds=number)


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    async with open_database(database_url) as database:
        async with database.write() as connection:
            await connection.run_sync(metadata.create_all)
            await insert_rows(connection, {things: [a_thing(number) for number in range(10)]})
        yield database


async def stored(database: Database) -> list[Thing]:
    async with database.read() as connection:
        rows = await connection.execute(select(things).order_by(things.c.id))
        return [(row.owner, row.id, row.name, row.at) for row in rows]


async def test_all_rows_are_inserted(database: Database) -> None:
    assert await stored(database) == [a_thing(number) for number in range(10)]


async def test_rows_of_several_tables_are_inserted_together(database: Database) -> None:
    async with database.write() as connection:
        await insert_rows(connection, {things: [a_thing(10)], owners: [(1, "Ada"), (2, None)]})
        found = await connection.execute(select(owners).order_by(owners.c.id))

        assert [tuple(row) for row in found] == [(1, "Ada"), (2, None)]
    assert await stored(database) == [a_thing(number) for number in range(11)]


async def test_only_rows_with_a_key_of_their_own_are_new(database: Database) -> None:
    rows = [a_thing(number, "new") for number in range(5, 15)]

    async with database.write() as connection:
        new = await insert_new_rows(connection, things, rows)

    assert new == {row[:2] for row in rows[5:]}
    assert await stored(database) == [a_thing(number) for number in range(10)] + rows[5:]


async def test_rows_take_the_place_of_those_with_their_key(database: Database) -> None:
    rows = [a_thing(number, "new") for number in range(5, 15)]

    async with database.write() as connection:
        await upsert_rows(connection, things, rows)

    assert await stored(database) == [a_thing(number) for number in range(5)] + rows


async def test_rows_with_one_of_the_keys_are_deleted(database: Database) -> None:
    async with database.write() as connection:
        await delete_rows(connection, things.c.id, [UUID(int=number) for number in range(1, 100)])

    assert await stored(database) == [a_thing(0)]


async def test_nothing_is_done_with_no_rows(database: Database) -> None:
    async with database.write() as connection:
        await insert_rows(connection, {things: []})
        assert await insert_new_rows(connection, things, []) == set()
        await upsert_rows(connection, things, [])
        await delete_rows(connection, things.c.id, [])

    assert len(await stored(database)) == 10
