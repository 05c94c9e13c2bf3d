"""Real services for tests and benchmarks, private and thrown away afterwards.

    with postgresql() as server, rabbitmq() as broker:
        ...  # server.url, broker.url; kill(), stop() and start() whenever a fault is wanted

Taken from the programs on the machine; else from Docker; else, on Debian and Ubuntu and with the
rights, from freshly installed packages. Nothing runs as root, listens beyond 127.0.0.1, or
outlives the process that started it.
"""

from tests.infrastructure.chromium import chromium
from tests.infrastructure.postgres import (
    DURABLE,
    THROW_AWAY,
    fresh_database,
    is_reachable,
    postgresql,
)
from tests.infrastructure.rabbit import (
    fresh_user,
    fresh_vhost,
    is_manageable,
    rabbitmq,
    rabbitmq_cluster,
    rabbitmq_defined,
    rabbitmq_with_tls,
)
from tests.infrastructure.server import Broker, Server, ServiceMissing

__all__ = [
    "DURABLE",
    "THROW_AWAY",
    "Broker",
    "Server",
    "ServiceMissing",
    "chromium",
    "fresh_database",
    "fresh_user",
    "fresh_vhost",
    "is_manageable",
    "is_reachable",
    "postgresql",
    "rabbitmq",
    "rabbitmq_cluster",
    "rabbitmq_defined",
    "rabbitmq_with_tls",
]
