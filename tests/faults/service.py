"""A service as operators run it: `python -m …`, a process of its own, set by its environment."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.infrastructure.guard import Guard
from tests.infrastructure.server import free_port
from tests.support.eventually import eventually
from tests.support.http_client import open_client
from tests.support.repository import ROOT

START_TIMEOUT: Final = 150.0  # seconds, on a machine that is busy with other things
END_TIMEOUT: Final = 100.0  # seconds for a process to be gone that was killed
INHERITED: Final = ("PATH", "HOME", "LANG", "TMPDIR")  # no setting of the product's


class Service:
    """One service. Its folder and its address outlive a restart."""

    def __init__(self, package: str, folder: Path, settings: Mapping[str, str]) -> None:
        """Take a free port; `settings` are environment variables of the product's."""
        port = free_port()
        prefix = package.removesuffix("_service").upper()
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.environment = {
            **inherited,
            "PYTHONPATH": str(ROOT),
            f"{prefix}_PORT": str(port),
            **settings,
        }
        self.settings = dict(settings)
        self.module = [package]  # and its arguments, as after `python -m`
        self.url = f"http://127.0.0.1:{port}"
        self.package = package
        self._folder = folder
        self._log = folder / f"{package}-{port}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    @property
    def pid(self) -> int:
        """The process, and its process group."""
        assert self._process is not None, f"{self.package} was not started"
        return self._process.pid

    def start(self) -> None:
        """Start, without waiting for anything."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self.module],
                cwd=self._folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = Guard('kill -s KILL -- "-$1"', str(self._process.pid))

    def kill(self) -> None:
        """End it at once, like a power cut; harmless when it has ended."""
        self.signal(signal.SIGKILL)
        self.wait(END_TIMEOUT)

    def ask_to_stop(self) -> None:
        """Send what `docker stop` and Kubernetes send."""
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, timeout: float) -> int | None:
        """Wait until it has ended, and return its exit code."""
        if self._process is None:
            return None
        code = self._process.wait(timeout)
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None
        return code

    def memory(self) -> int:
        """Return how many kB of memory the process has."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)

    def log(self) -> str:
        """Return everything it said, over all restarts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    async def get(self, path: str) -> dict[str, Any]:
        """Return an answer that has to be there."""
        async with open_client(self.url) as client:
            return dict((await client.get(path)).raise_for_status().json())

    def is_running(self) -> bool:
        """Tell whether the process has not ended."""
        return self._process is not None and self._process.poll() is None

    async def until_ready(self) -> None:
        """Wait until it can do its work, be it degraded."""
        await eventually(self._is_ready_or_dead, START_TIMEOUT)
        assert self.is_running(), self.log()

    async def _is_ready_or_dead(self) -> bool:
        return not self.is_running() or await self.readiness() is not None

    async def readiness(self) -> dict[str, Any] | None:
        """Return what it says about its parts; None while it cannot do its work."""
        async with open_client(self.url, timeout=10.0) as client:
            try:
                answer = await client.get("/health/ready")
            except httpx.TransportError:
                return None
        return dict(answer.json()) if answer.is_success else None


@contextmanager
def service(package: str, folder: Path, settings: Mapping[str, str]) -> Iterator[Service]:
    """Return a service that is not started yet; it is gone when the block ends."""
    made = Service(package, folder, settings)
    try:
        yield made
    finally:
        made.kill()
