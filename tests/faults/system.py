"""Both services as processes, on databases and a virtual host of their own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.servers import Servers
from tests.faults.service import Service, service
from tests.infrastructure import fresh_database, fresh_vhost


@dataclass(frozen=True, slots=True)
class Places:
    """Where the services keep what they know, and where they meet."""

    consumption_database: str
    recommendation_database: str
    amqp: str


@dataclass(frozen=True, slots=True)
class System:
    """The product, and the servers it stands on."""

    servers: Servers
    places: Places
    folder: Path
    consumption: Service
    recommendation: Service

    async def start(self) -> None:
        """Start both services; the recommendation service's queue is there before any watch."""
        self.recommendation.start()
        await self.recommendation.until_ready()
        self.consumption.start()
        await self.consumption.until_ready()

    async def stats(self) -> dict[str, Any]:
        """Return the recommendation service's panel."""
        return await self.recommendation.get("/stats")


@contextmanager
def fresh_places(servers: Servers) -> Iterator[Places]:
    """Make two empty databases and an empty virtual host, and drop them at the end."""
    servers.heal()
    with ExitStack() as stack:
        stack.callback(servers.heal)  # to drop them, they have to be there
        vhost = fresh_vhost(servers.broker.url, servers.broker.management_url)
        yield Places(
            stack.enter_context(_healed(servers, servers.consumption.url)),
            stack.enter_context(_healed(servers, servers.recommendation.url)),
            stack.enter_context(vhost),
        )


@contextmanager
def _healed(servers: Servers, server_url: str) -> Iterator[str]:
    with fresh_database(server_url) as url:
        try:
            yield url
        finally:
            servers.heal()


@dataclass(frozen=True, slots=True)
class Ways:
    """How each service gets to what it needs."""

    publishing: str
    consuming: str
    recording: str
    learning: str

    @classmethod
    def straight_to(cls, places: Places) -> "Ways":
        """Return the ways with nothing in between."""
        databases = (places.consumption_database, places.recommendation_database)
        return cls(places.amqp, places.amqp, *databases)


@asynccontextmanager
async def prepared(
    servers: Servers, places: Places, folder: Path, ways: Ways | None = None
) -> AsyncIterator[System]:
    """Return both services, not started."""
    ways = ways or Ways.straight_to(places)
    recording = {"AMQP_URL": ways.publishing, "CONSUMPTION_DATABASE_URL": ways.recording}
    learning = {"AMQP_URL": ways.consuming, "RECOMMENDATION_DATABASE_URL": ways.learning}
    with (
        service("consumption_service", folder, recording) as consumption,
        service("recommendation_service", folder, learning) as recommendation,
    ):
        yield System(servers, places, folder, consumption, recommendation)


async def in_thread(action: Any) -> None:
    """Do what blocks, such as starting a server, while the load goes on."""
    await asyncio.to_thread(action)
