"""What operators, and accidents, do to a RabbitMQ."""

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from shared.broker.topology import RECOMMENDATION_WATCH, WATCH, partition
from tests.infrastructure import Broker, ServiceMissing
from tests.infrastructure.process import group_of, unprivileged
from tests.infrastructure.rabbit import receiving

# Debian's own /usr/sbin/rabbitmqctl is a wrapper that insists on its fixed folders.
PLACES: Final = "/usr/lib/rabbitmq/bin:/usr/local/sbin:/opt/homebrew/sbin"
TIMEOUT: Final = 60.0  # seconds
IMPATIENT: Final = {"consumer_timeout": 2000, "channel_tick_interval": 500}  # milliseconds
PATIENT: Final = {"consumer_timeout": 1_800_000, "channel_tick_interval": 60_000}  # the defaults
POLICY: Final = "faults"
QUEUE: Final = quote(RECOMMENDATION_WATCH.name, safe="")


class Vhost:
    """One virtual host of a broker."""

    def __init__(self, broker: Broker, url: str) -> None:
        self._broker = broker
        self.name = urlsplit(url).path.removeprefix("/")

    def close_connections(self) -> None:
        """Close every connection in it, as an operator would."""
        control(self._broker, "close_all_connections", "--vhost", self.name, "testing")

    def limit_queue(self, length: int) -> None:
        """Let the queue hold so many messages, and refuse others."""
        policy = {
            "pattern": f"^{RECOMMENDATION_WATCH.name.replace('.', '[.]').replace('*', '[*]')}$",
            "definition": {"max-length": length},
            "apply-to": "queues",
        }
        self._call("PUT", f"policies/{self.name}/{POLICY}", policy)

    def unlimit_queue(self) -> None:
        """Let the queue hold everything again."""
        self._call("DELETE", f"policies/{self.name}/{POLICY}")

    def unbind(self) -> None:
        """Take the queue's binding away."""
        self._call("DELETE", f"{self._bindings()}/{quote('*', safe='')}")

    def bind(self) -> None:
        """Give the queue its binding back."""
        self._call("POST", self._bindings(), {"routing_key": "*"})

    def delete_exchange(self) -> None:
        """Take the exchange away, and with it the queue's binding."""
        self._call("DELETE", f"exchanges/{self.name}/{WATCH.name}")

    def delete_queue(self) -> None:
        """Take the queue away, and with it what waits in it."""
        self._call("DELETE", f"queues/{self.name}/{QUEUE}")

    def consumers(self) -> int | None:
        """Return how many consume from the queue; None while its figures are not known yet."""
        count: int | None = self._call("GET", f"queues/{self.name}/{QUEUE}").json().get("consumers")
        return count

    def partitions(self, count: int) -> Counter[str]:
        """Return how many of the partitions each connection receives."""
        names = {partition(RECOMMENDATION_WATCH, number).name for number in range(1, count + 1)}
        return receiving(self._call("GET", f"consumers/{self.name}").json(), names)

    def redelivered(self) -> int:
        """Return how often a message of the queue was delivered once more."""
        answer = self._call("GET", f"queues/{self.name}/{QUEUE}").json()
        return int(answer.get("message_stats", {}).get("redeliver", 0))

    def _bindings(self) -> str:
        return f"bindings/{self.name}/e/{WATCH.name}/q/{QUEUE}"

    def _call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        url = f"{self._broker.management_url}/api/{path}"
        return httpx.request(method, url, json=body, timeout=TIMEOUT).raise_for_status()


def raise_memory_alarm(broker: Broker) -> None:
    """Make the broker believe that its memory is full: it reads from no publisher any more."""
    control(broker, "set_vm_memory_high_watermark", "0.0000001")


def end_memory_alarm(broker: Broker) -> None:
    """Make it believe that there is memory again."""
    control(broker, "set_vm_memory_high_watermark", "0.4")


def raise_disk_alarm(broker: Broker) -> None:
    """Make the broker believe that its disk is full: it reads from no publisher any more."""
    control(broker, "set_disk_free_limit", "1000000GB")


def end_disk_alarm(broker: Broker) -> None:
    """Make it believe that there is room again."""
    control(broker, "set_disk_free_limit", "1000000")


@contextmanager
def impatience(broker: Broker) -> Iterator[None]:
    """Let it wait for acknowledgements as short as it can, on channels that open in the block."""
    _wait_for_acknowledgements(broker, IMPATIENT)
    try:
        yield
    finally:
        _wait_for_acknowledgements(broker, PATIENT)


def _wait_for_acknowledgements(broker: Broker, milliseconds: Mapping[str, int]) -> None:
    values = [f"application:set_env(rabbit, {name}, {ms})" for name, ms in milliseconds.items()]
    control(broker, "eval", f"{', '.join(values)}.")


def control(broker: Broker, *arguments: str) -> None:
    """Run `rabbitmqctl` as the broker's own user, in the broker's own environment."""
    path = f"{PLACES}:{os.environ.get('PATH', os.defpath)}"
    program = shutil.which("rabbitmqctl", path=path)
    if program is None:
        raise ServiceMissing("This fault needs RabbitMQ's programs on the machine.")
    user = unprivileged("rabbitmq")
    subprocess.run(
        [program, *arguments],
        env=_environment_of(broker.pid),
        user=user,
        group=user and group_of(user),
        extra_groups=[] if user else None,
        stdout=subprocess.DEVNULL,
        timeout=TIMEOUT,
        check=True,
    )


def _environment_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(line.split("=", 1) for line in lines if "=" in line)
