"""Real services for every test: a database and a virtual host of its own, on shared servers.

The servers come from `TEST_DATABASE_URL` and `TEST_AMQP_URL` (with `TEST_AMQP_MANAGEMENT_URL`), or
are started once for the whole run when a collected test needs them; so is the browser,
`TEST_CHROMIUM`, found or installed. A missing service ends the run; no test is skipped for it.
"""

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.faults import report
from tests.infrastructure import fresh_database, fresh_vhost
from tests.infrastructure.shared_services import (
    AMQP,
    CHROMIUM,
    DATABASE,
    SharedServices,
    management_url,
    server_url,
    services_needed,
)
from tests.support.scheduling import GroupScheduling, max_scopes, order_of

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

_services = pytest.StashKey[SharedServices]()


def pytest_configure(config: pytest.Config) -> None:
    """Know whether this process is a worker of pytest-xdist."""
    folder = getattr(config, "workerinput", {}).get("services")
    config.stash[_services] = SharedServices(folder and Path(folder))


@pytest.hookimpl(optionalhook=True)  # there may be no xdist at work
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where it notes what it needs."""
    node.workerinput["services"] = str(node.config.stash[_services].folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Start no more workers than can have something to do."""
    return min(int(os.environ.get("JOBS", "4")), max_scopes(config.args))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Schedule `--dist loadgroup` as `tests/support/scheduling.py` says, not by marks of xdist."""
    return GroupScheduling(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: order_of(item.nodeid))


@pytest.hookimpl(tryfirst=True)  # a worker notes what it needs before it says that it is ready
def pytest_collection_finish(session: pytest.Session) -> None:
    """Start what the collected tests need, before the clock of any test runs."""
    if not session.config.option.collectonly:
        session.config.stash[_services].require(services_needed(session.items))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """Start what a worker needs, before any worker is given a test."""
    node.config.stash[_services].start_for_workers()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what came of the faults."""
    report.show(terminalreporter)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started, however the run ended."""
    config.stash[_services].stop()


@pytest.fixture(scope="session")
def postgres_url(pytestconfig: pytest.Config) -> str:
    """The PostgreSQL server; tests use `postgres_database`."""
    pytestconfig.stash[_services].address(DATABASE)
    return server_url()


@pytest.fixture(scope="session")
def amqp_url(pytestconfig: pytest.Config) -> str:
    """The RabbitMQ server; tests use `amqp_vhost`."""
    return pytestconfig.stash[_services].address(AMQP)


@pytest.fixture(scope="session")
def amqp_management_url(amqp_url: str) -> str:  # noqa: ARG001 - starts the broker
    """The HTTP API of the same RabbitMQ."""
    return management_url()


@pytest.fixture(scope="session")
def chromium_program(pytestconfig: pytest.Config) -> str:
    """The program of the browser."""
    return pytestconfig.stash[_services].address(CHROMIUM)


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
