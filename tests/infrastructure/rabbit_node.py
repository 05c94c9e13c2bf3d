"""One node of RabbitMQ: where it keeps its things, where it listens, and whom it joins."""

import os
import shutil
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.infrastructure.certificates import Certificate
from tests.infrastructure.process import Program
from tests.infrastructure.server import ServiceMissing, free_port

PLUGINS: Final = "[rabbitmq_management, rabbitmq_consistent_hash_exchange]."
NET_TICK_TIME: Final = 8  # seconds; a node that is mute for longer is down to the others


@dataclass(frozen=True)
class Node:
    """A node with ports of its own. Nodes of one folder may be one cluster."""

    folder: Path
    user: str | None
    names_port: int  # of Erlang's name daemon, which all nodes of a cluster ask
    joins: str | None = None  # the name of a node that runs
    certificate: Certificate | None = None  # with one, there is a port for TLS
    settings: Path | None = None  # a file like `rabbitmq.conf`
    port: int = field(default_factory=free_port)
    management_port: int = field(default_factory=free_port)
    distribution_port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)

    @property
    def name(self) -> str:
        """The name that Erlang knows it by."""
        return f"upnext-{self.port}@localhost"

    def name_daemon(self) -> Program:
        """Return Erlang's name daemon, which has to run before the node."""
        return Program(
            command=[_epmd(), "-port", str(self.names_port), "-address", "127.0.0.1"],
            folder=self.folder,
            user=self.user,
            environment=self._environment(),
            stop_signal=signal.SIGTERM,
            is_up=lambda: greets(self.names_port, b""),
        )

    def program(self, script: str, is_up: Callable[[], bool]) -> Program:
        """Write what the node reads when it starts, and return the node."""
        (self.folder / "plugins").write_text(PLUGINS)
        self._advanced.write_text(self._configuration())
        return Program(
            command=[script],
            folder=self.folder,
            user=self.user,
            environment=self._environment(),
            stop_signal=signal.SIGTERM,
            is_up=is_up,
        )

    @property
    def _advanced(self) -> Path:
        return self.folder / f"{self.port}.config"

    def _configuration(self) -> str:
        joined = f", {{cluster_nodes, {{['{self.joins}'], disc}}}}" if self.joins else ""
        return f"""[
          {{kernel, [{{net_ticktime, {NET_TICK_TIME}}}]}},
          {{rabbit,
            [{{tcp_listeners, [{{"127.0.0.1", {self.port}}}]}}, {{loopback_users, []}},
             {{cluster_partition_handling, pause_minority}}{joined}{self._tls()}]}},
          {{rabbitmq_management,
            [{{tcp_config, [{{ip, "127.0.0.1"}}, {{port, {self.management_port}}}]}}]}}
        ].
        """

    def _tls(self) -> str:
        if self.certificate is None:
            return ""
        certificate, key = self.certificate
        return f""",
             {{ssl_listeners, [{{"127.0.0.1", {self.tls_port}}}]}},
             {{ssl_options, [{{certfile, "{certificate}"}}, {{keyfile, "{key}"}}]}}"""

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the broker: one process less
            "ERL_EPMD_PORT": str(self.names_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.settings or self.folder / "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self._advanced),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            # Idle schedulers sleep instead of spinning: the tests want the processor more.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
        }


def greets(port: int, hello: bytes) -> bool:
    """Connect and say hello, and tell whether there is an answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(hello)
            return not hello or bool(connection.recv(1))
    except OSError:
        return False


def _epmd() -> str:
    beside_erlang = sorted(Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))
    epmd = shutil.which("epmd") or (str(beside_erlang[-1]) if beside_erlang else None)
    if epmd is None:
        raise ServiceMissing("rabbitmq-server is here, but Erlang's epmd is not")
    return epmd
