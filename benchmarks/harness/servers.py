"""Servers: a PostgreSQL as durable as in production, a RabbitMQ, and fresh environments on them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.errors import CannotStart
from tests.infrastructure import (
    DURABLE,
    Broker,
    Server,
    ServiceMissing,
    fresh_database,
    fresh_vhost,
    postgresql,
    rabbitmq,
)


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers that every benchmark needs."""

    postgresql: Server
    rabbitmq: Broker

    @property
    def pids(self) -> dict[str, int]:
        """Their processes, by the names that reports use."""
        return {"postgresql": self.postgresql.pid, "rabbitmq": self.rabbitmq.pid}


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment for one system: empty databases, an empty virtual host, a folder for logs."""

    servers: Servers
    consumption: str
    recommendation: str
    amqp: str
    folder: Path

    @property
    def settings(self) -> dict[str, str]:
        """The same as environment variables, as the product and its peers read them."""
        return {
            "CONSUMPTION_DATABASE_URL": self.consumption,
            "RECOMMENDATION_DATABASE_URL": self.recommendation,
            "AMQP_URL": self.amqp,
        }


@contextmanager
def servers() -> Iterator[Servers]:
    """Run both servers while the block lasts; raises `CannotStart` where they cannot be had."""
    try:
        with ExitStack() as stack, ThreadPoolExecutor() as pool:
            broker = pool.submit(stack.enter_context, rabbitmq())
            database = pool.submit(stack.enter_context, postgresql(DURABLE))
            yield Servers(database.result(), broker.result())
    except ServiceMissing as missing:
        raise CannotStart(str(missing)) from None


@contextmanager
def fresh_environment(running: Servers) -> Iterator[Environment]:
    """Create an empty environment, and remove it at the end."""
    database, broker = running.postgresql.url, running.rabbitmq
    with (
        fresh_database(database) as one,
        fresh_database(database) as other,
        fresh_vhost(broker.url, broker.management_url) as amqp,
        TemporaryDirectory() as folder,
    ):
        yield Environment(running, one, other, amqp, Path(folder))
