"""Real services for every test: a database and a virtual host of its own, on shared servers.

The servers come from `TEST_DATABASE_URL` and `TEST_AMQP_URL` (with `TEST_AMQP_MANAGEMENT_URL`), or
are started once for the whole run when a collected test needs them; so is the browser,
`TEST_CHROMIUM`, found or installed. A missing service ends the run; no test is skipped for it.
"""

import os
import signal
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings

from tests.faults import report
from tests.infrastructure import (
    ServiceMissing,
    chromium,
    fresh_database,
    fresh_vhost,
    is_manageable,
    is_reachable,
    postgresql,
    rabbitmq,
)
from tests.support.scheduling import Together, turn_of

DATABASE: Final = "TEST_DATABASE_URL"
AMQP: Final = "TEST_AMQP_URL"
MANAGEMENT: Final = "TEST_AMQP_MANAGEMENT_URL"
CHROMIUM: Final = "TEST_CHROMIUM"

NEEDS_POSTGRESQL: Final = {"postgres_url", "database_url"}
NEEDS_RABBITMQ: Final = {"amqp_url"}
NEEDS_CHROMIUM: Final = {"chromium_program"}

# How long an example takes depends on who else uses the machine. The examples are the same each
# time: what a new one finds is news for whoever looks for it with CHAOS=1, and for nobody else.
settings.register_profile(
    "upnext",
    deadline=None,
    derandomize=not os.environ.get("CHAOS"),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("upnext")

# Where a script runs the tests in the background, they ignore Ctrl-C, and so would what they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_servers = ExitStack()
_starting = {DATABASE: Lock(), AMQP: Lock(), CHROMIUM: Lock()}


def pytest_configure(config: pytest.Config) -> None:
    """Start before the workers of pytest-xdist do, which inherit the addresses and share."""
    distributed = getattr(config.option, "dist", "no") != "no"
    if distributed and not hasattr(config, "workerinput"):
        _start([DATABASE, AMQP, CHROMIUM])


@pytest.hookimpl(optionalhook=True)  # there may be no xdist at work
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Schedule `--dist loadgroup` as `tests/support/scheduling.py` says, not by marks of xdist."""
    return Together(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: turn_of(item.nodeid))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start what the collected tests need, before the clock of any test runs."""
    if session.config.option.collectonly:
        return
    needed = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    reasons = {DATABASE: NEEDS_POSTGRESQL, AMQP: NEEDS_RABBITMQ, CHROMIUM: NEEDS_CHROMIUM}
    _start([service for service, fixtures in reasons.items() if needed & fixtures])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what came of the faults."""
    report.show(terminalreporter)


def pytest_unconfigure() -> None:
    """Stop what was started, however the run ended."""
    _servers.close()


def _start(services: Sequence[str]) -> None:
    """Start the services side by side."""
    with ThreadPoolExecutor() as pool:
        starting = [pool.submit(_address, service) for service in services]
    try:
        for start in starting:
            start.result()
        _check(services)
    except ServiceMissing as missing:
        _servers.close()
        pytest.exit(str(missing), returncode=3)


def _address(service: str) -> str:
    """Return the address in the environment, after starting the service if there is none."""
    with _starting[service]:
        if service not in os.environ:
            found = {DATABASE: _postgresql, AMQP: _rabbitmq, CHROMIUM: _chromium}[service]()
            os.environ.update(found)
        return os.environ[service]


def _postgresql() -> dict[str, str]:
    return {DATABASE: _servers.enter_context(postgresql()).url}


def _rabbitmq() -> dict[str, str]:
    broker = _servers.enter_context(rabbitmq())
    return {AMQP: broker.url, MANAGEMENT: broker.management_url}


def _chromium() -> dict[str, str]:
    return {CHROMIUM: chromium()}


def _check(services: Sequence[str]) -> None:
    """Say at once, and not in every test, that a server which was given is not there."""
    if DATABASE in services and not is_reachable(_database_url()):
        raise ServiceMissing(f"{DATABASE} is set, but no PostgreSQL lets the tests in there.")
    if AMQP in services and not is_manageable(_management_url()):
        raise ServiceMissing(
            f"{AMQP} is set, but the tests need RabbitMQ's HTTP API as well: start the management "
            f"plugin, and set {MANAGEMENT} unless it listens on port 15672."
        )


def _database_url() -> str:
    return os.environ[DATABASE].replace("postgresql+asyncpg://", "postgresql://")


def _management_url() -> str:
    url = urlsplit(os.environ[AMQP])
    account = url.netloc.rpartition("@")[0] or "guest:guest"
    return os.environ.get(MANAGEMENT, f"http://{account}@{url.hostname}:15672")


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The PostgreSQL server; tests use `postgres_database`."""
    _address(DATABASE)
    return _database_url()


@pytest.fixture(scope="session")
def amqp_url() -> str:
    """The RabbitMQ server; tests use `amqp_vhost`."""
    return _address(AMQP)


@pytest.fixture(scope="session")
def amqp_management_url(amqp_url: str) -> str:  # noqa: ARG001 - starts the broker
    """The HTTP API of the same RabbitMQ."""
    return _management_url()


@pytest.fixture
def postgres_database(postgres_url: str) -> Generator[str]:
    """An empty PostgreSQL database for one test."""
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture
def sqlite_database(tmp_path: Path) -> str:
    """An SQLite database for one test, in a file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'test.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database for one test, of each kind that the product supports."""
    fixture = {"sqlite": "sqlite_database", "postgresql": "postgres_database"}[request.param]
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def amqp_vhost(amqp_url: str, amqp_management_url: str) -> Generator[str]:
    """An empty virtual host for one test: any exchange or queue name is free in it."""
    with fresh_vhost(amqp_url, amqp_management_url) as url:
        yield url
