"""Systems: what is measured and what it is compared with, each as the processes it consists of."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from signal import SIGTERM
from time import monotonic, sleep
from typing import Final

import httpx

from benchmarks.harness.servers import Stage
from shared.errors import CannotStart
from tests.infrastructure import ServiceMissing
from tests.infrastructure.process import Process, Program, running
from tests.infrastructure.server import free_port
from tests.support.product import INHERITED
from tests.support.repository import ROOT

PATIENCE: Final = 60.0  # seconds until a system must answer
PYTHON: Final = (sys.executable, "-m")


@dataclass(frozen=True)
class System:
    """Something that can be started on a stage. `parts` are modules of Python, with arguments."""

    name: str
    parts: Mapping[str, Sequence[str]]
    needs: Sequence[str] = ()  # what must be installed, as it is imported
    stores: bool = True  # each watch becomes a row
    learns: bool = False  # the recommendation service is one of its parts
    batches: bool = False  # it takes many watches in one request

    @property
    def missing(self) -> str | None:
        """Say why the system cannot be measured here; None when it can."""
        absent = [name for name in self.needs if find_spec(name) is None]
        if not absent:
            return None
        return f"{', '.join(absent)} not installed; requirements-bench.lock has it"


@dataclass(frozen=True)
class Running:
    """A system that runs, and where it answers."""

    system: System
    stage: Stage
    ports: Mapping[str, int]
    processes: Mapping[str, Process] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where watches are posted."""
        return f"http://127.0.0.1:{self.ports['CONSUMPTION_PORT']}"

    @property
    def recommendation_url(self) -> str:
        """Where recommendations are asked for."""
        return f"http://127.0.0.1:{self.ports['RECOMMENDATION_PORT']}"

    @property
    def pids(self) -> dict[str, int]:
        """All processes that take part, by the names that reports use."""
        own = {name: process.pid for name, process in self.processes.items()}
        return own | self.stage.servers.pids

    def wait(self, url: str, patience: float = PATIENCE) -> None:
        """Wait until something answers there that it is ready; any answer but a 5xx will do."""
        deadline = monotonic() + patience
        while monotonic() < deadline:
            try:
                if not httpx.get(f"{url}/health/ready", timeout=patience).is_server_error:
                    return
            except httpx.TransportError:
                sleep(0.05)
        raise CannotStart(f"{self.system.name} does not answer within {patience:.0f} s.{self._log}")

    @property
    def _log(self) -> str:
        logs = (file.read_text(errors="replace") for file in self.stage.folder.glob("*/*.log"))
        return "".join(f"\n{log[-2000:]}" for log in logs)


@contextmanager
def started(system: System, stage: Stage, settings: Mapping[str, str]) -> Iterator[Running]:
    """Run all parts of a system while the block lasts; what needs time to start is not awaited."""
    ports = {"CONSUMPTION_PORT": free_port(), "RECOMMENDATION_PORT": free_port()}
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment = {
        **inherited,
        "PYTHONPATH": str(ROOT),
        **stage.settings,
        **{name: str(port) for name, port in ports.items()},
        **settings,
    }
    try:
        with ExitStack() as stack:
            processes = {}
            for name, module in system.parts.items():
                folder = stage.folder / name
                folder.mkdir()
                command = (*PYTHON, *module)
                program = Program(command, folder, None, environment, SIGTERM, lambda: True)
                processes[name] = stack.enter_context(running(program))
            yield Running(system, stage, ports, processes)
    except ServiceMissing as missing:
        raise CannotStart(str(missing)) from None
