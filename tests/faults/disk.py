"""A disk for one database alone: small, and full whenever a test wants it to be."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.faults.stored import connected
from tests.infrastructure.guard import Guard
from tests.infrastructure.process import folder_of, group_of, unprivileged
from tests.support.commands import run_command

SIZE: Final = "64m"  # a database that knows nothing takes 10 MB
CLEAN_UP: Final = 'umount --lazy "$1"; rmdir "$1"'
NO_DISK: Final = "Only root can give a database a disk of its own."


class Disk:
    """A file system that others write to, and we fill."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leave no room on it while the block lasts."""
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(self._ballast.parent).free)
        try:
            yield
        finally:
            self._ballast.unlink()


@asynccontextmanager
async def own_disk(database: str) -> AsyncIterator[Disk]:
    """Let a database that nobody uses lie on a disk of its own while the block lasts."""
    name = urlsplit(database).path.removeprefix("/")
    elsewhere = urlunsplit(urlsplit(database)._replace(path="/postgres"))
    with _mounted() as folder:
        async with connected(elsewhere) as connection:
            await connection.execute(f"CREATE TABLESPACE {name} LOCATION '{folder}'")
            await _move(connection, name, to=name)
        try:
            yield Disk(folder)
        finally:
            async with connected(elsewhere) as connection:
                await _move(connection, name, to="pg_default")
                await connection.execute(f"DROP TABLESPACE {name}")


async def _move(connection: Any, name: str, to: str) -> None:
    await connection.execute(f'ALTER DATABASE "{name}" SET TABLESPACE {to}')


@contextmanager
def _mounted() -> Iterator[Path]:
    user = unprivileged("postgres")
    if user is None:
        pytest.skip(NO_DISK)
    with folder_of(user) as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "upnext-test", str(folder)]
        if run_command(mount, capture_output=True, check=False).returncode:
            pytest.skip(NO_DISK)
        guard = Guard(CLEAN_UP, str(folder))
        try:
            shutil.chown(folder, user, group_of(user))
            yield folder
        finally:
            guard.dismiss()
            run_command(["umount", "--lazy", folder], check=True)
