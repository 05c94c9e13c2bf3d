"""A statement ends in time where a request waits for it; where nobody does, it takes its time."""

import pytest
from sqlalchemy import text

from shared.database.database import DatabaseUnavailable, open_database

SLOW = text("SELECT 7 FROM pg_sleep(:seconds)")


async def test_a_statement_that_takes_too_long_is_broken_off(postgres_database: str) -> None:
    async with open_database(postgres_database, statement_timeout=0.5) as database:
        with pytest.raises(DatabaseUnavailable):
            async with database.write() as connection:
                await connection.execute(SLOW, {"seconds": 5})


async def test_without_a_limit_it_takes_its_time(postgres_database: str) -> None:
    async with (
        open_database(postgres_database, statement_timeout=None) as database,
        database.write() as connection,
    ):
        assert await connection.scalar(SLOW, {"seconds": 0.2}) == 7
