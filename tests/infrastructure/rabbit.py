"""RabbitMQ for tests: a private broker, and a fresh virtual host whenever one is asked for."""

import http.client
import json
import os
import shutil
import urllib.error
import urllib.request
import uuid
from base64 import b64encode
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from tests.infrastructure.certificates import Certificate
from tests.infrastructure.container import contained, has_docker
from tests.infrastructure.packages import install
from tests.infrastructure.process import folder_of, running, unprivileged
from tests.infrastructure.rabbit_node import Node, greets
from tests.infrastructure.server import PATIENCE, Broker, ServiceMissing, free_port

IMAGE: Final = "rabbitmq:4.3-management"
PLUGINS: Final = Path(__file__).parents[2] / "deploy/rabbitmq/enabled_plugins"

# Debian's own /usr/sbin/rabbitmq-server is a wrapper that insists on its fixed folders.
PLACES: Final = "/usr/lib/rabbitmq/bin:/usr/local/sbin:/opt/homebrew/sbin"


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


@contextmanager
def fresh_user(
    management_url: str, name: str, vhost: str, rights: Mapping[str, str]
) -> Iterator[str]:
    """Make a user with these rights in the virtual host, and return its login, for a URL."""
    password = uuid.uuid4().hex
    _call(management_url, "PUT", f"/api/users/{name}", {"password": password, "tags": ""})
    _call(management_url, "PUT", f"/api/permissions/{vhost}/{name}", rights)
    try:
        yield f"{name}:{password}"
    finally:
        _call(management_url, "DELETE", f"/api/users/{name}")


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
        node = Node(folder, user, names_port=free_port())
        # Erlang's name daemon would outlive the broker; started first, it is ours to end.
        with running(node.name_daemon()), started(node, script) as broker:
            yield broker


@contextmanager
def rabbitmq_with_tls(certificate: Certificate) -> Iterator[int]:
    """Run a private RabbitMQ with a port for TLS, and return the port."""
    script = _script()
    if script is None:
        raise ServiceMissing("A RabbitMQ with TLS needs RabbitMQ's programs on the machine.")
    user = unprivileged("rabbitmq")
    with folder_of(user) as folder:
        node = Node(folder, user, names_port=free_port(), certificate=certificate)
        with running(node.name_daemon()), started(node, script):
            yield node.tls_port


@contextmanager
def rabbitmq_defined(settings: str, definitions: str, login: str) -> Iterator[Broker]:
    """Run a private RabbitMQ that finds users and rights in definitions, as the settings say.

    In the settings `@DEFINITIONS@` is the path; `login` is somebody who may use the HTTP API.
    """
    script = _script()
    if script is None:
        raise ServiceMissing("Definitions at boot need RabbitMQ's programs on the machine.")
    user = unprivileged("rabbitmq")
    with folder_of(user) as folder:
        places = folder / "definitions.json", folder / "settings.conf"
        places[0].write_text(definitions)
        places[1].write_text(settings.replace("@DEFINITIONS@", str(places[0])))
        node = Node(folder, user, names_port=free_port(), settings=places[1])
        with running(node.name_daemon()), started(node, script, login) as broker:
            yield broker


@contextmanager
def rabbitmq_cluster(size: int) -> Iterator[list[Broker]]:
    """Run some private RabbitMQs that are one broker, each with a copy of every queue."""
    script = _script()
    if script is None:
        raise ServiceMissing("A cluster needs RabbitMQ's programs on the machine.")
    user = unprivileged("rabbitmq")
    with folder_of(user) as folder, ExitStack() as stack:
        # In one folder, because what lies in it makes them know each other: Erlang's cookie.
        first = Node(folder, user, names_port=free_port())
        stack.enter_context(running(first.name_daemon()))
        others = [Node(folder, user, first.names_port, joins=first.name) for _ in range(1, size)]
        yield [stack.enter_context(started(node, script)) for node in (first, *others)]


@contextmanager
def started(node: Node, script: str, login: str = "guest:guest") -> Iterator[Broker]:
    """Run one node while the block lasts."""
    urls = _urls(node.port, node.management_port, login)
    with running(node.program(script, is_up=lambda: _is_up(*urls))) as process:
        yield Broker(urls[0], process, urls[1])


@contextmanager
def _in_docker() -> Iterator[Broker]:
    port, management = free_port(), free_port()
    urls = _urls(port, management)
    options = ["-p", f"127.0.0.1:{port}:5672", "-p", f"127.0.0.1:{management}:15672"]
    # The node's data has the host's name; without a fixed one, a restart would lose it.
    options += ["--hostname", "rabbitmq"]
    options += ["-v", f"{PLUGINS}:/etc/rabbitmq/enabled_plugins:ro"]
    with contained(IMAGE, options, [], lambda: _is_up(*urls)) as container:
        yield Broker(urls[0], container, urls[1])


def _urls(port: int, management: int, login: str = "guest:guest") -> tuple[str, str]:
    return f"amqp://{login}@127.0.0.1:{port}/", f"http://{login}@127.0.0.1:{management}"


def _is_up(url: str, management_url: str) -> bool:
    port = urlsplit(url).port or 5672
    return greets(port, b"AMQP\x00\x00\x09\x01") and is_manageable(management_url)


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
    with urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310 - see above
        pass


def receiving(consumers: Iterable[Mapping[str, Any]], queues: Collection[str]) -> Counter[str]:
    """How many of these queues, which are for one at a time, each connection receives.

    The consumers are what the HTTP API lists; one that is just closing has no channel.
    """
    return Counter(
        one["channel_details"]["connection_name"]
        for one in consumers
        if one["queue"]["name"] in queues
        and one["activity_status"] == "single_active"
        and one["channel_details"]
    )
