"""What a server for tests can do, and the small things every way to run one needs."""

import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Final, Protocol

PATIENCE: Final = 150.0  # seconds until a server that is starting counts as broken
PORTS: Final = range(15_000, 32_000)  # below the ephemeral ports: no client takes one by chance


class ServiceMissing(Exception):
    """A service cannot be had on this machine; the text says in one sentence what to do."""


class Runner(Protocol):
    """One of the ways a server runs: as a process, or in a container."""

    @property
    def pid(self) -> int:
        """The main process; for a private server also its process group."""

    def start(self) -> None:
        """Start, and return when the server is up."""

    def stop(self) -> None:
        """Shut down in good order."""

    def kill(self) -> None:
        """End it at once."""


@dataclass
class Server:
    """A running server that belongs to us: it may be stopped, killed and started again."""

    url: str  # where clients connect; the same before and after a restart
    _runner: Runner

    @property
    def pid(self) -> int:
        """The main process; for a private server also its process group."""
        return self._runner.pid

    def start(self) -> None:
        """Start again after `stop` or `kill`, with the data of before; return when it is up."""
        self._runner.start()

    def stop(self) -> None:
        """Shut down in good order: clients are cut off, nothing durable is lost."""
        self._runner.stop()

    def kill(self) -> None:
        """Take the server away without a warning, like a power cut."""
        self._runner.kill()


@dataclass
class Broker(Server):
    """RabbitMQ, with the HTTP API of its management plugin."""

    management_url: str  # credentials included


def _own_ports() -> Iterator[int]:
    """Yield the ports of this worker of pytest-xdist, in any order, over and over.

    A port is chosen some time before somebody listens on it, so no other worker may choose it.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    own = PORTS[worker::count]
    return cycle(random.Random().sample(own, len(own)))  # noqa: S311 - nothing secret about a port


_ports: Final = _own_ports()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    while True:
        port = next(_ports)
        with socket.socket() as probe:
            # Without this, a port that a killed server used a moment ago looks taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait_until(is_up: Callable[[], bool], is_dead: Callable[[], bool]) -> bool:
    """Poll until the server is up; False when it died or took too long."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not is_dead():
        if is_up():
            return True
        time.sleep(0.02)
    return False
