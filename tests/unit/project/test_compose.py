"""The compose files: what runs is confined, pinned, and sees no secret but its own.

`make container-check` runs them; this is what can be seen without running anything.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from tests.support.repository import ROOT


def compose(name: str) -> dict[str, Any]:
    text = (ROOT / name).read_text()
    read: dict[str, Any] = yaml.safe_load(text.replace("!reset ", ""))  # a word of compose's own
    return read


ONE: Final = compose("docker-compose.yml")
CLUSTER: Final = compose("docker-compose.cluster.yml")
OURS: Final = ("secrets", "migrate", "consumption", "recommendation", "operator")


@pytest.mark.parametrize("name", OURS)
def test_what_is_ours_can_write_nothing_and_become_nobody_else(name: str) -> None:
    service = ONE["services"][name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


def test_every_container_has_secrets_of_its_own() -> None:
    mounted = [
        volume.partition(":")[0]
        for name, service in ONE["services"].items()
        if name != "secrets"  # which makes them
        for volume in service.get("volumes", ())
        if volume.startswith("secrets_")
    ]

    assert sorted(mounted) == sorted(set(mounted))
    assert set(mounted) == {one for one in ONE["volumes"] if one.startswith("secrets_")}


@pytest.mark.parametrize("document", [ONE, CLUSTER], ids=["one", "cluster"])
def test_images_are_pinned_and_passwords_are_not_there(document: dict[str, Any]) -> None:
    images = {service["image"] for service in document["services"].values() if "image" in service}

    assert images - {"upnext"} <= {"postgres:18", "rabbitmq:4.3-management", "haproxy:3.2"}
    assert not re.search(r"://\w+:[^@/]+@|password: *\S", str(document), re.IGNORECASE)


@pytest.mark.parametrize("document", [ONE, CLUSTER], ids=["one", "cluster"])
def test_every_rabbitmq_has_the_plugin_that_partitions_need(document: dict[str, Any]) -> None:
    brokers = [
        service
        for service in document["services"].values()
        if service.get("image", "").startswith("rabbitmq:")
    ]
    plugins = "./deploy/rabbitmq/enabled_plugins:/etc/rabbitmq/enabled_plugins:ro"

    assert brokers
    assert all(plugins in service["volumes"] for service in brokers)
    assert "rabbitmq_consistent_hash_exchange" in (ROOT / plugins.partition(":")[0]).read_text()


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = [port for document in (ONE, CLUSTER) for port in published(document)]

    assert len(ports) == 4
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def published(document: dict[str, Any]) -> Iterator[str]:
    for service in document["services"].values():
        yield from service.get("ports") or ()
