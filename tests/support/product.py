"""The product as people run it: `upnext run` in a process of its own, on files of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any, Final

import httpx

from tests.infrastructure.process import Process, Program
from tests.infrastructure.server import free_port
from tests.support.commands import COMMAND_TIMEOUT
from tests.support.http_client import ask
from tests.support.repository import ROOT

COMMAND: Final = (sys.executable, "-m", "upnext")
INHERITED: Final = ("PATH", "HOME", "LANG", "TMPDIR")  # no setting of the product's


class Product:
    """Both services in one process. The folder and the addresses outlive a restart."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        """Take two free ports; `settings` are environment variables of the product's."""
        self.folder = folder
        ports = {"CONSUMPTION_PORT": str(free_port()), "RECOMMENDATION_PORT": str(free_port())}
        self.environment = _inherited() | ports | dict(settings or {})
        self.consumption_url = f"http://127.0.0.1:{self.environment['CONSUMPTION_PORT']}"
        self.recommendation_url = f"http://127.0.0.1:{self.environment['RECOMMENDATION_PORT']}"
        program = Program(
            (*COMMAND, "run"), folder, None, self.environment, signal.SIGTERM, self.is_ready
        )
        self._process = Process(program)

    def seen_from(self, folder: Path) -> "Product":
        """Return the same product, with commands that run in another folder."""
        other = copy(self)
        other.folder = folder
        return other

    @property
    def pid(self) -> int:
        """The process, and its process group."""
        return self._process.pid

    def start(self) -> None:
        """Start, also after `stop` or `kill`; return when both services are ready."""
        self._process.start()

    def stop(self) -> None:
        """End it in good order."""
        self._process.stop()

    def kill(self) -> None:
        """End it at once, like a power cut."""
        self._process.kill()

    def is_ready(self) -> bool:
        """Tell whether both services can do their work."""
        urls = (self.consumption_url, self.recommendation_url)
        try:
            return all(ask(f"{url}/health/ready").is_success for url in urls)
        except httpx.TransportError:
            return False

    def stats(self) -> dict[str, Any]:
        """Return the panel."""
        answer = ask(f"{self.recommendation_url}/stats").raise_for_status()
        return dict(answer.json())

    def applied(self) -> int:
        """Return how many events were learned."""
        return int(self.stats()["events"]["applied"])

    def watches_of(self, user_id: int) -> list[dict[str, Any]]:
        """Return what is recorded of the user, newest first."""
        url = f"{self.consumption_url}/watches"
        answer = ask(url, params={"user_id": user_id}).raise_for_status()
        return list(answer.json()["items"])

    def command(self, *arguments: object) -> "subprocess.Popen[str]":
        """Start an `upnext` command in the folder and with the settings of the product."""
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """Run an `upnext` command to its end."""
        with self.command(*arguments) as process:
            try:
                output, errors = process.communicate(timeout=COMMAND_TIMEOUT)
            finally:
                process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


@contextmanager
def running_product(folder: Path, settings: Mapping[str, str] | None = None) -> Generator[Product]:
    """Run the product while the block lasts."""
    product = Product(folder, settings)
    try:
        product.start()
        yield product
    finally:
        product.stop()


def _inherited() -> dict[str, str]:
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT)}
