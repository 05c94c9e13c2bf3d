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

from tests.services import (
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
            with suppress(RuntimeError, ProcessLookupError):  # it is not running at all
                os.killpg(server.pid, signal.SIGCONT)
        if not is_manageable(self.broker.management_url):
            self.broker.start()
        for server in (self.consumption, self.recommendation):
            if not is_reachable(server.url):
                server.start()


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Hold the server up while the block lasts: it keeps its connections, and is mute."""
    os.killpg(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(server.pid, signal.SIGCONT)


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Run the servers while the block lasts."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        broker = pool.submit(stack.enter_context, rabbitmq())
        databases = [pool.submit(stack.enter_context, postgresql(DURABLE)) for _ in range(2)]
        yield Servers(broker.result(), databases[0].result(), databases[1].result())
