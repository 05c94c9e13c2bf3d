"""PostgreSQL for tests: a private server, and a fresh database whenever one is asked for."""

import asyncio
import os
import shutil
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.infrastructure.container import contained, has_docker
from tests.infrastructure.packages import install
from tests.infrastructure.process import (
    Program,
    folder_of,
    group_of,
    running,
    unprivileged,
)
from tests.infrastructure.server import PATIENCE, Server, ServiceMissing, free_port

IMAGE: Final = "postgres:18"

# A crash of the machine may lose everything; a crash of the server does not.
THROW_AWAY: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "256MB",  # it is kept in memory, where a new database takes 20 ms and not 100
}
DURABLE: Final[Mapping[str, str]] = {}  # what production has; benchmarks measure with it


@contextmanager
def postgresql(settings: Mapping[str, str] = THROW_AWAY) -> Iterator[Server]:
    """Run a private PostgreSQL while the block lasts."""
    programs = _programs()
    if programs is None and has_docker():
        with _in_docker(settings) as server:
            yield server
        return
    if programs is None:
        install("postgresql")
    with _from(programs or _programs(), settings) as server:
        yield server


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """Make an empty database, and drop it at the end, even when somebody is still connected."""
    name = f"test_{uuid.uuid4().hex}"
    _execute(server_url, f'CREATE DATABASE "{name}"')
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        _execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def is_reachable(url: str) -> bool:
    """Tell whether the server answers, and lets us in."""
    try:
        _execute(url, "SELECT 1")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True


def _programs() -> Path | None:
    """Return the folder of the newest `postgres` there is, with its `initdb`."""
    packaged = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name)
    )
    anywhere = shutil.which("initdb")
    candidates = [*reversed(packaged), *([Path(anywhere).parent] if anywhere else [])]
    complete = (path for path in candidates if _is_complete(path))
    return next(complete, None)


def _is_complete(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in ("initdb", "postgres"))


@contextmanager
def _from(programs: Path | None, settings: Mapping[str, str]) -> Iterator[Server]:
    if programs is None:
        raise ServiceMissing("the package postgresql has no programs where they were looked for")
    user = unprivileged("postgres")
    with folder_of(user, in_memory=settings is THROW_AWAY) as folder:
        port = free_port()
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        _initialise(programs / "initdb", folder, user)
        program = Program(
            command=[str(programs / "postgres"), "-D", "data", *_options(settings, port)],
            folder=folder,
            user=user,
            environment=_environment(folder),
            stop_signal=signal.SIGINT,
            is_up=lambda: is_reachable(url),
            leaves_traces=True,  # shared memory
        )
        with running(program) as process:
            yield Server(url, process)


def _initialise(initdb: Path, folder: Path, user: str | None) -> None:
    subprocess.run(
        [initdb, "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
        cwd=folder,
        env=_environment(folder),
        user=user,
        group=user and group_of(user),
        extra_groups=[] if user else None,
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=PATIENCE,
    )


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LC_ALL": "C"}


def _options(settings: Mapping[str, str], port: int) -> list[str]:
    private = {"port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    return _flags({**private, "max_connections": "300", **settings})


def _flags(settings: Mapping[str, str]) -> list[str]:
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


@contextmanager
def _in_docker(settings: Mapping[str, str]) -> Iterator[Server]:
    port = free_port()
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    options = ["-p", f"127.0.0.1:{port}:5432", "-e", "POSTGRES_HOST_AUTH_METHOD=trust"]
    flags = _flags({"max_connections": "300", **settings})
    with contained(IMAGE, options, ["postgres", *flags], lambda: is_reachable(url)) as container:
        yield Server(url, container)


def _execute(url: str, statement: str) -> None:
    """Execute one statement, in a loop of its own: the caller's thread may already run one."""
    failures: list[BaseException] = []

    async def execute() -> None:
        connection = await asyncpg.connect(url, timeout=PATIENCE)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def run() -> None:
        try:
            asyncio.run(execute())
        except Exception as failure:  # noqa: BLE001 - handed over to the caller's thread
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
