"""Quality services: the servers that the product runs on while it is measured."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, NamedTuple

from tests.infrastructure import ServiceMissing, fresh_database, fresh_vhost, postgresql, rabbitmq

GIVEN: Final = ("TEST_DATABASE_URL", "TEST_AMQP_URL", "TEST_AMQP_MANAGEMENT_URL")


class Backend(NamedTuple):
    """The servers, and the settings with their addresses."""

    name: str
    settings: dict[str, str]


class Servers(NamedTuple):
    """Addresses of PostgreSQL, RabbitMQ, and RabbitMQ's HTTP API."""

    database: str
    broker: str
    management: str


@contextmanager
def open_backend(log: Callable[[str], None]) -> Iterator[Backend]:
    """PostgreSQL and RabbitMQ while the block lasts; files where they are missing.

    They are those of the tests, if the environment names them, or else started here.
    """
    with ExitStack() as opened:
        try:
            servers = _given() or _started(opened)
        except ServiceMissing as missing:
            log(f"The product runs on files: {missing}")
            yield Backend("files", {})
            return
        yield Backend("PostgreSQL and RabbitMQ", _settings(opened, servers))


def _given() -> Servers | None:
    addresses = [os.environ.get(name, "") for name in GIVEN]
    return Servers(*addresses) if all(addresses) else None


def _started(opened: ExitStack) -> Servers:
    broker = opened.enter_context(rabbitmq())
    return Servers(opened.enter_context(postgresql()).url, broker.url, broker.management_url)


def _settings(opened: ExitStack, servers: Servers) -> dict[str, str]:
    enter = opened.enter_context
    return {
        "AMQP_URL": enter(fresh_vhost(servers.broker, servers.management)),
        "CONSUMPTION_DATABASE_URL": enter(fresh_database(servers.database)),
        "RECOMMENDATION_DATABASE_URL": enter(fresh_database(servers.database)),
    }
