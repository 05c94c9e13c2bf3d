"""Systems: the product and its peers, started as processes."""

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

from benchmarks.harness.servers import Environment
from shared.errors import CannotStart
from tests.infrastructure import ServiceMissing
from tests.infrastructure.process import Process, Program, running
from tests.infrastructure.server import free_port
from tests.support.product import INHERITED
from tests.support.repository import ROOT

START_TIMEOUT: Final = 60.0  # seconds until a system must answer
PYTHON: Final = (sys.executable, "-m")

Settings = Mapping[str, str]


@dataclass(frozen=True)
class System:
    """A system that can be started. `parts` are Python modules with arguments."""

    name: str
    parts: Mapping[str, Sequence[str]]
    needs: Sequence[str] = ()  # modules that must be importable
    stores: bool = True  # each watch becomes a row
    learns: bool = False  # the recommendation service is one of its parts
    batches: bool = False  # it takes many watches in one request

    @property
    def missing(self) -> str | None:
        """Return why the system cannot be measured here; None when it can."""
        absent = [name for name in self.needs if find_spec(name) is None]
        if not absent:
            return None
        return f"{', '.join(absent)} not installed; requirements-bench.lock has it"


@dataclass(frozen=True)
class Running:
    """A running system with its addresses."""

    system: System
    environment: Environment
    ports: Mapping[str, int]
    processes: Mapping[str, Process] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The URL that watches are posted to."""
        return f"http://127.0.0.1:{self.ports['CONSUMPTION_PORT']}"

    @property
    def recommendation_url(self) -> str:
        """The URL that recommendations are read from."""
        return f"http://127.0.0.1:{self.ports['RECOMMENDATION_PORT']}"

    @property
    def pids(self) -> dict[str, int]:
        """All its processes, by the names that reports use."""
        own = {name: process.pid for name, process in self.processes.items()}
        return own | self.environment.servers.pids

    def wait(self, url: str, patience: float = START_TIMEOUT) -> None:
        """Wait until the readiness route answers with anything but a 5xx."""
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
        logs = (one.read_text(errors="replace") for one in self.environment.folder.glob("*/*.log"))
        return "".join(f"\n{text[-2000:]}" for text in logs)


@contextmanager
def started(system: System, environment: Environment, settings: Settings) -> Iterator[Running]:
    """Run all parts of a system while the block lasts; does not wait until they are ready."""
    ports = {"CONSUMPTION_PORT": free_port(), "RECOMMENDATION_PORT": free_port()}
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    variables = {
        **inherited,
        "PYTHONPATH": str(ROOT),
        **environment.settings,
        **{name: str(port) for name, port in ports.items()},
        **settings,
    }
    try:
        with ExitStack() as stack:
            processes = {}
            for name, module in system.parts.items():
                folder = environment.folder / name
                folder.mkdir()
                command = (*PYTHON, *module)
                program = Program(command, folder, None, variables, SIGTERM, lambda: True)
                processes[name] = stack.enter_context(running(program))
            yield Running(system, environment, ports, processes)
    except ServiceMissing as missing:
        raise CannotStart(str(missing)) from None
