"""Databases with the tables of a service in them."""

from collections.abc import AsyncGenerator

import pytest_asyncio

import consumption_service
import recommendation_service
from shared.database import Database, open_database
from shared.migrate import migrate


@pytest_asyncio.fixture
async def consumption_database(database_url: str) -> AsyncGenerator[Database]:
    """A database of the consumption service, empty."""
    async with open_database(database_url) as database:
        await migrate(database, consumption_service)
        yield database


@pytest_asyncio.fixture
async def recommendation_database(database_url: str) -> AsyncGenerator[Database]:
    """A database of the recommendation service, empty."""
    async with open_database(database_url) as database:
        await migrate(database, recommendation_service)
        yield database
