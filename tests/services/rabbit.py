"""RabbitMQ for tests: a private broker, and a fresh virtual host whenever one is asked for."""

import http.client
import json
import os
import shutil
import signal
import socket
import urllib.error
import urllib.request
import uuid
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from tests.services.container import Container, contained, has_docker
from tests.services.packages import install
from tests.services.process import Process, Program, folder_of, running, unprivileged
from tests.services.server import Broker, ServiceMissing, free_port

IMAGE: Final = "rabbitmq:4.3-management"

# Debian's own /usr/sbin/rabbitmq-server is a wrapper that insists on its fixed folders.
PLACES: Final = "/usr/lib/rabbitmq/bin:/usr/local/sbin:/opt/homebrew/sbin"
PLUGINS: Final = "[rabbitmq_management, rabbitmq_consistent_hash_exchange]."


@dataclass
class RabbitMQ:
    """A broker of our own, whichever way it runs."""

    url: str
    management_url: str
    _server: Process | Container

    @property
    def pid(self) -> int:
        """The Erlang machine."""
        return self._server.pid

    def start(self) -> None:
        """Start again with the messages of before."""
        self._server.start()

    def stop(self) -> None:
        """Shut down in good order: clients are cut off, nothing durable is lost."""
        self._server.stop()

    def kill(self) -> None:
        """Kill the broker."""
        self._server.kill()


@contextmanager
def rabbitmq() -> Iterator[Broker]:
    """Run a private RabbitMQ while the block lasts."""
    script = _script()
    if script is None and has_docker():
        with _in_docker() as broker:
            yield broker
        return
    if script is None:
        install("rabbitmq-server")
    with _from(script or _script()) as broker:
        yield broker


@contextmanager
def fresh_vhost(server_url: str, management_url: str) -> Iterator[str]:
    """Make an empty virtual host, and drop it with all connections at the end."""
    name = f"test-{uuid.uuid4().hex}"
    user = quote(unquote(urlsplit(management_url).username or "guest"), safe="")
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    _call(management_url, "PUT", f"/api/vhosts/{name}", {})
    _call(management_url, "PUT", f"/api/permissions/{name}/{user}", everything)
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        _call(management_url, "DELETE", f"/api/vhosts/{name}")


def is_manageable(management_url: str) -> bool:
    """Tell whether the HTTP API answers, and knows us."""
    try:
        _call(management_url, "GET", "/api/vhosts")
    except (OSError, http.client.HTTPException):
        return False
    return True


def _script() -> str | None:
    return shutil.which("rabbitmq-server", path=f"{PLACES}:{os.environ.get('PATH', os.defpath)}")


@contextmanager
def _from(script: str | None) -> Iterator[Broker]:
    if script is None:
        raise ServiceMissing("the package rabbitmq-server has no program where it was looked for")
    user = unprivileged("rabbitmq")
    with folder_of(user) as folder:
        port, management, names = free_port(), free_port(), free_port()
        urls = _urls(port, management)
        environment = _environment(folder, port, names)
        (folder / "plugins").write_text(PLUGINS)
        (folder / "advanced.config").write_text(_configuration(port, management))
        # Erlang's name daemon would outlive the broker; started first, it is ours to end.
        epmd = Program(
            command=[_epmd(), "-port", str(names), "-address", "127.0.0.1"],
            folder=folder,
            user=user,
            environment=environment,
            stop_signal=signal.SIGTERM,
            is_up=lambda: _greets(names, b""),
        )
        broker = Program(
            command=[script],
            folder=folder,
            user=user,
            environment=environment,
            stop_signal=signal.SIGTERM,
            is_up=lambda: _is_up(*urls),
        )
        with running(epmd), running(broker) as process:
            yield RabbitMQ(*urls, process)


def _environment(folder: Path, port: int, names: int) -> dict[str, str]:
    return {
        "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the broker: one process less
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"upnext-{port}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        # Idle schedulers sleep instead of spinning: the tests want the processor more.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
    }


def _configuration(port: int, management: int) -> str:
    return f"""[
      {{rabbit, [{{tcp_listeners, [{{"127.0.0.1", {port}}}]}}, {{loopback_users, []}}]}},
      {{rabbitmq_management,
        [{{tcp_config, [{{ip, "127.0.0.1"}}, {{port, {management}}}]}}]}}
    ].
    """


def _epmd() -> str:
    beside_erlang = sorted(Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))
    epmd = shutil.which("epmd") or (str(beside_erlang[-1]) if beside_erlang else None)
    if epmd is None:
        raise ServiceMissing("rabbitmq-server is here, but Erlang's epmd is not")
    return epmd


@contextmanager
def _in_docker() -> Iterator[Broker]:
    port, management = free_port(), free_port()
    urls = _urls(port, management)
    options = ["-p", f"127.0.0.1:{port}:5672", "-p", f"127.0.0.1:{management}:15672"]
    # The node's data has the host's name; without a fixed one, a restart would lose it.
    options += ["--hostname", "rabbitmq"]
    with contained(IMAGE, options, [], lambda: _is_up(*urls)) as container:
        yield RabbitMQ(*urls, container)


def _urls(port: int, management: int) -> tuple[str, str]:
    return f"amqp://guest:guest@127.0.0.1:{port}/", f"http://guest:guest@127.0.0.1:{management}"


def _is_up(url: str, management_url: str) -> bool:
    port = urlsplit(url).port or 5672
    return _greets(port, b"AMQP\x00\x00\x09\x01") and is_manageable(management_url)


def _greets(port: int, hello: bytes) -> bool:
    """Connect and say hello, and tell whether there is an answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(hello)
            return not hello or bool(connection.recv(1))
    except OSError:
        return False


def _call(management_url: str, method: str, path: str, body: object = None) -> None:
    url = urlsplit(management_url)
    credentials = f"{unquote(url.username or 'guest')}:{unquote(url.password or 'guest')}"
    host = url.netloc.rpartition("@")[2]
    request = urllib.request.Request(  # noqa: S310 - the address is the tests' own
        urlunsplit((url.scheme, host, path, "", "")),
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Basic {b64encode(credentials.encode()).decode()}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=30):  # noqa: S310 - see above
        pass
