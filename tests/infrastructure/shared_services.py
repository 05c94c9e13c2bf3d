"""The services that all tests of a run share, started when a collected test needs them.

Each has its address in the environment: given by whoever runs the tests, or set here once it is
started. With pytest-xdist the workers collect: each notes in a folder of the run what its tests
need, the controller starts that before it hands out the first test, and leaves the addresses there.
"""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.infrastructure.chromium import chromium
from tests.infrastructure.postgres import is_reachable, postgresql
from tests.infrastructure.rabbit import is_manageable, rabbitmq
from tests.infrastructure.server import ServiceMissing

DATABASE: Final = "TEST_DATABASE_URL"
AMQP: Final = "TEST_AMQP_URL"
MANAGEMENT: Final = "TEST_AMQP_MANAGEMENT_URL"
CHROMIUM: Final = "TEST_CHROMIUM"

# Fixtures, and parameters by which a fixture chooses another.
NEEDED_BY: Final = {
    DATABASE: {"postgres_url", "postgresql", "real"},
    AMQP: {"amqp_url", "rabbitmq", "real"},
    CHROMIUM: {"chromium_program"},
}
ADDRESSES: Final = "addresses.json"


def services_needed(items: Sequence[pytest.Item]) -> set[str]:
    """Return what these tests need."""
    names = {name for item in items for name in _names(item)}
    return {service for service, needing in NEEDED_BY.items() if names & needing}


def _names(item: pytest.Item) -> Iterator[str]:
    yield from getattr(item, "fixturenames", ())
    if callspec := getattr(item, "callspec", None):
        yield from (value for value in callspec.params.values() if isinstance(value, str))


class SharedServices:
    """The services of one run, as one of its processes has them."""

    def __init__(self, folder: Path | None = None) -> None:
        """With a folder: a worker, which starts nothing itself."""
        self._stack = ExitStack()
        self._is_worker = folder is not None
        self.folder = folder or Path(self._stack.enter_context(TemporaryDirectory()))
        self._running: set[str] = set()

    def require(self, services: Collection[str]) -> None:
        """Have these services run before the first test."""
        if self._is_worker:
            for service in services:
                (self.folder / service).touch()
        else:
            self._start(services)

    def start_for_workers(self) -> None:
        """Start what the workers noted, and tell them the addresses."""
        self._start([service for service in NEEDED_BY if (self.folder / service).exists()])
        names = (*NEEDED_BY, MANAGEMENT)
        addresses = {name: os.environ[name] for name in names if name in os.environ}
        unfinished = self.folder / "unfinished"
        unfinished.write_text(json.dumps(addresses))
        unfinished.rename(self.folder / ADDRESSES)  # a worker may be reading, if another crashed

    def address(self, service: str) -> str:
        """Return the address of a service that was required."""
        if not self._is_worker:
            self._start([service])
        elif service not in os.environ:
            os.environ.update(json.loads((self.folder / ADDRESSES).read_text()))
        if service not in os.environ:
            message = f"nothing in NEEDED_BY told beforehand that a test needs {service}"
            raise LookupError(message)
        return os.environ[service]

    def stop(self) -> None:
        """Stop what was started here."""
        self._stack.close()

    def _start(self, services: Collection[str]) -> None:
        """Start these services side by side; where one is missing, end the run."""
        missing = [service for service in services if service not in self._running]
        try:
            with ThreadPoolExecutor() as pool:
                for addresses in pool.map(self._addresses, missing):
                    os.environ.update(addresses)
            _check(missing)
        except ServiceMissing as error:
            self.stop()
            pytest.exit(str(error), returncode=3)
        self._running.update(missing)

    def _addresses(self, service: str) -> dict[str, str]:
        """Return what the environment does not have, after starting the service."""
        if service in os.environ:
            return {}
        start = {DATABASE: self._postgresql, AMQP: self._rabbitmq, CHROMIUM: self._chromium}
        return start[service]()

    def _postgresql(self) -> dict[str, str]:
        return {DATABASE: self._stack.enter_context(postgresql()).url}

    def _rabbitmq(self) -> dict[str, str]:
        broker = self._stack.enter_context(rabbitmq())
        return {AMQP: broker.url, MANAGEMENT: broker.management_url}

    def _chromium(self) -> dict[str, str]:
        return {CHROMIUM: chromium()}


def _check(services: Collection[str]) -> None:
    """Say at once, and not in every test, that a server which was given is not there."""
    if DATABASE in services and not is_reachable(server_url()):
        raise ServiceMissing(f"{DATABASE} is set, but no PostgreSQL lets the tests in there.")
    if AMQP in services and not is_manageable(management_url()):
        raise ServiceMissing(
            f"{AMQP} is set, but the tests need RabbitMQ's HTTP API as well: start the management "
            f"plugin, and set {MANAGEMENT} unless it listens on port 15672."
        )


def server_url() -> str:
    """Return where PostgreSQL is, as asyncpg writes it."""
    return os.environ[DATABASE].replace("postgresql+asyncpg://", "postgresql://")


def management_url() -> str:
    """Return where the HTTP API of RabbitMQ is."""
    url = urlsplit(os.environ[AMQP])
    account = url.netloc.rpartition("@")[0] or "guest:guest"
    return os.environ.get(MANAGEMENT, f"http://{account}@{url.hostname}:15672")
