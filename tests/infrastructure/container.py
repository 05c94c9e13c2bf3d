"""A server in a Docker container, for machines with Docker and without the programs."""

import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.infrastructure.guard import Guard
from tests.infrastructure.server import ServiceMissing, wait_until


def has_docker() -> bool:
    """Tell whether there is a Docker that answers, and not only its client."""
    return shutil.which("docker") is not None and _docker("info").returncode == 0


@dataclass
class Container:
    """A container that keeps its data over `stop`, `kill` and `start`."""

    is_up: Callable[[], bool]
    name: str = field(default_factory=lambda: f"upnext-test-{uuid.uuid4().hex[:12]}")

    @property
    def pid(self) -> int:
        """The container's first process, as the host sees it."""
        return int(_docker("inspect", "-f", "{{.State.Pid}}", self.name).stdout)

    def start(self) -> None:
        """Start, and return when the server is up."""
        _docker("start", self.name)
        if not wait_until(self.is_up, is_dead=lambda: False):
            raise ServiceMissing(f"the container {self.name} did not come up")

    def stop(self) -> None:
        """Shut down in good order."""
        _docker("stop", self.name)

    def kill(self) -> None:
        """End it at once."""
        _docker("kill", self.name)


@contextmanager
def contained(
    image: str, options: Sequence[str], command: Sequence[str], is_up: Callable[[], bool]
) -> Iterator[Container]:
    """Run an image while the block lasts."""
    container = Container(is_up)
    created = _docker("create", "--name", container.name, *options, image, *command)
    if created.returncode != 0:
        raise ServiceMissing(f"docker cannot use {image}: {created.stderr.strip()}")
    guard = Guard('docker rm --force --volumes "$1"', container.name)
    try:
        container.start()
        yield container
    finally:
        guard.dismiss()
        _docker("rm", "--force", "--volumes", container.name)


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
