"""Troubles: everything that can be wrong with a part, each as a block that ends in good order.

async with trouble(scene):
    ...  # the part is away, mute, slow, full or cut off
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.faults import rabbit
from tests.faults.network import Network, Wires
from tests.faults.rabbit import Vhost
from tests.faults.servers import frozen
from tests.faults.service import END_TIMEOUT, Service
from tests.faults.stored import terminate_backends
from tests.faults.system import System, in_thread
from tests.infrastructure import Server


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that there is to break."""

    system: System
    wires: Wires

    @property
    def vhost(self) -> Vhost:
        """The virtual host of the services."""
        return Vhost(self.system.servers.broker, self.system.places.amqp)

    def server(self, name: str) -> Server:
        """Return the broker or a database."""
        server: Server = getattr(self.system.servers, name)
        return server

    def service(self, name: str) -> Service:
        """Return a service."""
        service: Service = getattr(self.system, name)
        return service

    def wire(self, name: str) -> Network:
        """Return the network between two parts."""
        wire: Network = getattr(self.wires, name)
        return wire


Trouble = Callable[[Scene], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def killed_service(scene: Scene, name: str) -> AsyncIterator[None]:
    """Kill a service; start it again at the end."""
    service = scene.service(name)
    service.kill()
    yield
    service.start()


@asynccontextmanager
async def stopped_service(scene: Scene, name: str) -> AsyncIterator[None]:
    """Ask a service to stop; start it again at the end."""
    service = scene.service(name)
    service.ask_to_stop()
    yield
    await asyncio.to_thread(service.wait, END_TIMEOUT)
    service.start()


@asynccontextmanager
async def paused_service(scene: Scene, name: str) -> AsyncIterator[None]:
    """Hold a service up."""
    service = scene.service(name)
    service.signal(signal.SIGSTOP)
    yield
    service.signal(signal.SIGCONT)


@asynccontextmanager
async def killed_server(scene: Scene, name: str) -> AsyncIterator[None]:
    """Kill the broker or a database; start it again at the end."""
    server = scene.server(name)
    await in_thread(server.kill)
    yield
    await in_thread(server.start)


@asynccontextmanager
async def stopped_server(scene: Scene, name: str) -> AsyncIterator[None]:
    """Shut the broker or a database down; start it again at the end."""
    server = scene.server(name)
    await in_thread(server.stop)
    yield
    await in_thread(server.start)


@asynccontextmanager
async def paused_server(scene: Scene, name: str) -> AsyncIterator[None]:
    """Hold the broker or a database up."""
    with frozen(scene.server(name)):
        yield


@asynccontextmanager
async def refused(scene: Scene, name: str) -> AsyncIterator[None]:
    """Let nobody connect, and cut everybody off."""
    wire = scene.wire(name)
    wire.refuse()
    yield
    await wire.open()


@asynccontextmanager
async def reset(scene: Scene, name: str) -> AsyncIterator[None]:
    """Reset all connections, again and again."""
    wire = scene.wire(name)
    for _ in range(3):
        wire.reset()
        await asyncio.sleep(0.3)
    yield


@asynccontextmanager
async def silent(scene: Scene, name: str, way: str) -> AsyncIterator[None]:
    """Let nothing through in one direction; what was on its way is gone."""
    wire = scene.wire(name)
    getattr(wire, way).flowing.clear()
    yield
    wire.heal()


@asynccontextmanager
async def slow(scene: Scene, name: str) -> AsyncIterator[None]:
    """Let everything take longer."""
    wire = scene.wire(name)
    wire.to_server.delay = wire.from_server.delay = 0.1
    yield
    wire.to_server.delay = wire.from_server.delay = 0.0


@asynccontextmanager
async def torn(scene: Scene, name: str) -> AsyncIterator[None]:
    """Cut the connections in the middle of what they say."""
    wire = scene.wire(name)
    wire.to_server.bytes_left = 1000
    yield
    wire.to_server.bytes_left = None


@asynccontextmanager
async def memory_alarm(scene: Scene) -> AsyncIterator[None]:
    """Let the broker read from no publisher."""
    await in_thread(lambda: rabbit.raise_memory_alarm(scene.system.servers.broker))
    try:
        yield
    finally:
        await in_thread(lambda: rabbit.end_memory_alarm(scene.system.servers.broker))


@asynccontextmanager
async def disk_alarm(scene: Scene) -> AsyncIterator[None]:
    """Let the broker believe that its disk is full."""
    await in_thread(lambda: rabbit.raise_disk_alarm(scene.system.servers.broker))
    try:
        yield
    finally:
        await in_thread(lambda: rabbit.end_disk_alarm(scene.system.servers.broker))


@asynccontextmanager
async def unbound(scene: Scene) -> AsyncIterator[None]:
    """Take the queue's binding away."""
    await in_thread(scene.vhost.unbind)
    yield
    await in_thread(scene.vhost.bind)


@asynccontextmanager
async def full(scene: Scene) -> AsyncIterator[None]:
    """Let the queue take nothing more."""
    await in_thread(lambda: scene.vhost.limit_queue(1))
    yield
    await in_thread(scene.vhost.unlimit_queue)


@asynccontextmanager
async def closed(scene: Scene) -> AsyncIterator[None]:
    """Close all connections to the broker, as an operator would."""
    await in_thread(scene.vhost.close_connections)
    yield


@asynccontextmanager
async def terminated(scene: Scene, name: str) -> AsyncIterator[None]:
    """End all connections to a database, as an operator would."""
    await terminate_backends(getattr(scene.system.places, f"{name}_database"))
    yield


SERVICES: Final = ("consumption", "recommendation")
WIRES: Final = ("publishing", "consuming", "recording", "learning")
WAYS: Final = ("to_server", "from_server")


def troubles() -> dict[str, list[Trouble]]:
    """Return all troubles by the part they are about: one part has one trouble at a time."""
    found: dict[str, list[Trouble]] = {
        "broker": [memory_alarm, disk_alarm, unbound, full, closed],
    }
    for name in SERVICES:
        kinds = (killed_service, stopped_service, paused_service)
        found[f"{name} service"] = [partial(kind, name=name) for kind in kinds]
        found[f"{name} database"] = [partial(terminated, name=name)]
    for name in ("broker", *SERVICES):
        kinds = (killed_server, stopped_server, paused_server)
        part = name if name == "broker" else f"{name} database"
        found[part] += [partial(kind, name=name) for kind in kinds]
    for name in WIRES:
        found[name] = [partial(kind, name=name) for kind in (refused, reset, slow, torn)]
        found[name] += [partial(silent, name=name, way=way) for way in WAYS]
    return found
