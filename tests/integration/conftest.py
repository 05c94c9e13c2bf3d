"""The services, each alone with its database, or as a pair on every set-up."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

import consumption_service
import recommendation_service
from benchmarks.harness.wrk import wrk_version
from shared.broker.connect import open_broker
from shared.broker.in_process import InProcessBroker
from shared.database.database import Database, open_database
from shared.database.migrate import migrate
from shared.errors import CannotStart
from tests.infrastructure import fresh_database
from tests.support.pair import Pair, SetUp


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


@pytest_asyncio.fixture
async def consumption(database_url: str) -> AsyncGenerator[httpx.AsyncClient]:
    """A consumption service alone, with a broker that has no queue."""
    async with SetUp(database_url, "", InProcessBroker()).consumption() as client:
        yield client


@pytest_asyncio.fixture
async def real(
    postgres_database: str, another_postgres_database: str, amqp_vhost: str
) -> AsyncGenerator[SetUp]:
    """PostgreSQL and RabbitMQ."""
    async with open_broker(amqp_vhost) as broker:
        yield SetUp(postgres_database, another_postgres_database, broker)


@pytest.fixture
def another_postgres_database(postgres_url: str) -> Generator[str]:
    """One more empty PostgreSQL database."""
    with fresh_database(postgres_url) as url:
        yield url


@pytest_asyncio.fixture
async def embedded(tmp_path: Path) -> SetUp:
    """SQLite files and the broker inside this process."""
    return SetUp(
        f"sqlite:///{tmp_path}/consumption.db",
        f"sqlite:///{tmp_path}/recommendation.db",
        InProcessBroker(),
    )


@pytest.fixture(params=["embedded", "real"])
def set_up(request: pytest.FixtureRequest) -> SetUp:
    """Each set-up that the product is for."""
    chosen = request.getfixturevalue(request.param)
    assert isinstance(chosen, SetUp)
    return chosen


@pytest_asyncio.fixture
async def pair(set_up: SetUp) -> AsyncGenerator[Pair]:
    """Both services, running."""
    async with set_up.both() as running:
        yield running


@pytest.fixture(scope="session")
def wrk() -> None:
    """The load generator of the benchmarks; where it cannot be had, a test of them is skipped."""
    try:
        wrk_version()
    except CannotStart as missing:
        pytest.skip(str(missing))


@pytest.fixture(params=["embedded", "real"])
def product_settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of the product as it runs by itself: on files, and on real servers."""
    if request.param == "embedded":
        return {}
    urls = {
        "CONSUMPTION_DATABASE_URL": "postgres_database",
        "RECOMMENDATION_DATABASE_URL": "another_postgres_database",
        "AMQP_URL": "amqp_vhost",
    }
    return {name: request.getfixturevalue(fixture) for name, fixture in urls.items()}
