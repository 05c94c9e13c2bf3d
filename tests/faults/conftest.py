"""Faults: what is switched off, killed or cut here belongs to these tests alone.

A short set runs always. The long one is marked `chaos`, and runs with `CHAOS=1`.
"""

import os
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.network import Wires, wiring
from tests.faults.report import VERDICT
from tests.faults.servers import Servers, running_servers
from tests.faults.system import Places, System, fresh_places, prepared
from tests.faults.trial import Report


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    config.addinivalue_line("markers", "chaos: takes long; runs with CHAOS=1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long ones out unless they are asked for."""
    if os.environ.get("CHAOS"):
        return
    long = [item for item in items if item.get_closest_marker("chaos")]
    items[:] = [item for item in items if item not in long]
    config.hook.pytest_deselected(items=long)


@pytest.fixture(scope="session")
def servers() -> Generator[Servers]:
    """The servers that faults are about."""
    with running_servers() as running:
        yield running


@pytest.fixture
def places(servers: Servers) -> Generator[Places]:
    """Empty databases and an empty virtual host."""
    with fresh_places(servers) as fresh:
        yield fresh


@pytest_asyncio.fixture
async def stopped_system(
    servers: Servers, places: Places, tmp_path: Path
) -> AsyncGenerator[System]:
    """Both services, not started yet."""
    async with prepared(servers, places, tmp_path) as system:
        yield system


@pytest_asyncio.fixture
async def system(stopped_system: System) -> System:
    """Both services, running."""
    await stopped_system.start()
    return stopped_system


@pytest_asyncio.fixture
async def wires(places: Places) -> AsyncGenerator[Wires]:
    """A network of its own for every way that there is between two parts."""
    async with wiring(places) as opened:
        yield opened


@pytest_asyncio.fixture
async def wired(
    servers: Servers, places: Places, wires: Wires, tmp_path: Path
) -> AsyncGenerator[System]:
    """Both services, running, each connected through networks of its own."""
    async with prepared(servers, places, tmp_path, wires.ways) as system:
        await system.start()
        yield system


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """Keep a verdict for the table at the end."""
    return lambda verdict: request.node.user_properties.append((VERDICT, verdict))
