"""A cluster of three RabbitMQs, and the product on it, behind a load balancer that knows little."""

import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from shared.broker.topology import RECOMMENDATION_WATCH
from tests.faults.network import Network, network
from tests.faults.rabbit import control
from tests.faults.servers import Servers, send
from tests.faults.system import Places, System, Ways, prepared
from tests.infrastructure import Broker, is_manageable, rabbitmq_cluster
from tests.support.eventually import eventually
from tests.support.http_client import open_client

NODES: Final = 3
TIMEOUT: Final = 100.0  # seconds until an election or a catching up counts as failed

# Erlang's nodes talk only while they share a secret. Each with another, they are cut off.
CUT: Final = "[begin erlang:set_cookie(N, cut), erlang:disconnect_node(N) end || N <- nodes()]."
JOIN: Final = "[erlang:set_cookie(N, erlang:get_cookie()) || N <- rabbit_nodes:all()]."


@dataclass(frozen=True, slots=True)
class Cluster:
    """The nodes. Each may be killed, and is started again at the end."""

    nodes: Sequence[Broker]

    def heal(self) -> None:
        """Bring every node back."""
        for node in self.nodes:
            with suppress(RuntimeError):  # it is not running at all
                send(node, signal.SIGCONT)
        for node in self.nodes:
            if not is_manageable(node.management_url):
                node.kill()
                node.start()

    async def leader(self, vhost: str) -> Broker:
        """Return the node that leads the queue, when all nodes have a copy of it."""
        found = await eventually(lambda: self._leader(vhost), TIMEOUT)
        return self._named(found)

    async def _leader(self, vhost: str) -> str:
        queue = await self.queue(vhost)
        complete = len(queue.get("online", [])) == NODES
        return str(queue.get("leader", "")) if complete else ""

    async def queue(self, vhost: str) -> dict[str, Any]:
        """Return what any node that answers says about the queue."""
        path = f"/api/queues/{vhost}/{quote(RECOMMENDATION_WATCH.name, safe='')}"
        for node in self.nodes:
            with suppress(httpx.HTTPError):
                async with open_client(node.management_url, timeout=3.0) as client:
                    answer = await client.get(path)
                return dict(answer.raise_for_status().json())
        return {}

    @contextmanager
    def cut_off(self, node: Broker) -> Iterator[None]:
        """Let the node and the others not reach each other while the block lasts."""
        control(node, "eval", CUT)
        try:
            yield
        finally:
            control(node, "eval", JOIN)

    def _named(self, name: str) -> Broker:
        port = name.partition("@")[0].rpartition("-")[2]
        return next(node for node in self.nodes if urlsplit(node.url).port == int(port))


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Run three nodes while the block lasts."""
    with rabbitmq_cluster(NODES) as nodes:
        yield Cluster(nodes)


@dataclass(frozen=True, slots=True)
class Clustered:
    """The product on a cluster."""

    system: System
    cluster: Cluster
    publishing: Network
    consuming: Network

    @property
    def vhost(self) -> str:
        """The virtual host that it uses."""
        return urlsplit(self.system.places.amqp).path.removeprefix("/")

    async def leader(self) -> Broker:
        """Return the node that leads the queue."""
        return await self.cluster.leader(self.vhost)


@asynccontextmanager
async def clustered(
    servers: Servers, cluster: Cluster, places: Places, folder: Path
) -> AsyncIterator[Clustered]:
    """Start the product, with a balancer between each service and the three nodes."""
    path = urlsplit(places.amqp).path
    urls = [urlunsplit(urlsplit(node.url)._replace(path=path)) for node in cluster.nodes]
    async with network(*urls) as publishing, network(*urls) as consuming:
        databases = (places.consumption_database, places.recommendation_database)
        ways = Ways(publishing.url, consuming.url, *databases)
        async with prepared(servers, places, folder, ways) as system:
            await system.start()
            yield Clustered(system, cluster, publishing, consuming)
