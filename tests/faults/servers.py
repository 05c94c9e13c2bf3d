"""The servers that faults are about: a broker and two PostgreSQLs, of nobody else's tests.

They are started once and shared, because a broker takes seconds to start; each test has databases
and a virtual host of its own. Commits are durable as in production, since a server that is killed
must not forget what it confirmed.
"""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.infrastructure import (
    DURABLE,
    Broker,
    Server,
    is_manageable,
    is_reachable,
    postgresql,
    rabbitmq,
)


@dataclass(frozen=True, slots=True)
class Servers:
    """One broker, and a PostgreSQL for each service."""

    broker: Broker
    consumption: Server
    recommendation: Server

    def heal(self) -> None:
        """Bring back what a test that failed half-way left stopped."""
        for server in (self.broker, self.consumption, self.recommendation):
            with suppress(RuntimeError):  # it is not running at all
                send(server, signal.SIGCONT)
        if not is_manageable(self.broker.management_url):
            self.broker.start()
        for server in (self.consumption, self.recommendation):
            if not is_reachable(server.url):
                server.start()


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Hold the server up while the block lasts: it keeps its connections, and is mute."""
    send(server, signal.SIGSTOP)
    try:
        yield
    finally:
        send(server, signal.SIGCONT)


def send(server: Server, number: signal.Signals) -> None:
    """Send a signal to all processes of the server; PostgreSQL's are not in one group."""
    for pid in (server.pid, *_children(server.pid)):
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, number)


def _children(parent: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                yield int(stat.parent.name)


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Run the servers while the block lasts."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        broker = pool.submit(stack.enter_context, rabbitmq())
        databases = [pool.submit(stack.enter_context, postgresql(DURABLE)) for _ in range(2)]
        yield Servers(broker.result(), databases[0].result(), databases[1].result())
