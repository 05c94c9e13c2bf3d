"""Definitions: what the services declare is the topology, and as good when it was imported."""

import json
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from shared.broker.connect import open_broker
from shared.broker.rabbitmq.topology import queue_arguments
from shared.broker.topology import (
    CONSUMPTION_ERASURE,
    ERASURE,
    LESSON,
    RECOMMENDATION_LESSON,
    RECOMMENDATION_WATCH,
    WATCH,
    Exchange,
    Queue,
)
from tests.infrastructure import fresh_vhost
from tests.support.eventually import eventually
from tests.support.http_client import open_client
from tests.support.pair import SetUp, learned
from tests.support.repository import ROOT

CONSUMED: Final = (RECOMMENDATION_WATCH, RECOMMENDATION_LESSON, CONSUMPTION_ERASURE)
PARKING: Final = tuple(queue.parking for queue in CONSUMED if queue.parking)
QUEUES: Final = (*CONSUMED, *PARKING)
EXCHANGES: Final = (WATCH, LESSON, ERASURE, *(queue.exchange for queue in PARKING))


def exchange_as_exported(exchange: Exchange) -> dict[str, Any]:
    how = {"durable": True, "auto_delete": False, "internal": False, "arguments": {}}
    return {"name": exchange.name, "type": exchange.type, **how}


def queue_as_exported(queue: Queue) -> dict[str, Any]:
    how = {"durable": True, "auto_delete": False, "arguments": queue_arguments(queue)}
    return {"name": queue.name, **how}


def binding_as_exported(queue: Queue) -> dict[str, Any]:
    ends = {"source": queue.exchange.name, "destination": queue.name, "destination_type": "queue"}
    return {**ends, "routing_key": queue.binding_key, "arguments": {}}


TOPOLOGY: Final = {
    "exchanges": list(map(exchange_as_exported, EXCHANGES)),
    "queues": list(map(queue_as_exported, QUEUES)),
    "bindings": list(map(binding_as_exported, QUEUES)),
    "policies": [],
    "parameters": [],
}


async def exported(management_url: str, vhost_url: str) -> dict[str, Any]:
    """Return what a backup of the virtual host contains."""
    async with open_client(management_url) as client:
        answer = await client.get(f"/api/definitions{urlsplit(vhost_url).path}")
    found = answer.raise_for_status().json()
    return {what: found[what] for what in TOPOLOGY}


def in_order(definitions: dict[str, Any]) -> dict[str, Any]:
    return {what: sorted(listed, key=str) for what, listed in definitions.items()}


async def declared(set_up: SetUp, management_url: str, vhost_url: str) -> dict[str, Any]:
    """Let both services start and do their work, and return what is there then."""
    async with set_up.both() as pair:
        before = (await pair.recommendation.get("/stats")).json()["events"]["applied"]
        await pair.watch(42, 100)
        await learned(pair.recommendation, before + 1)

        async def all_queues() -> bool:
            return len((await exported(management_url, vhost_url))["queues"]) >= len(QUEUES)

        await eventually(all_queues)
        await eventually(lambda: is_content(pair.consumption))
        await eventually(lambda: is_content(pair.recommendation))
    return await exported(management_url, vhost_url)


async def is_content(service: httpx.AsyncClient) -> bool:
    return bool((await service.get("/health/ready")).json()["status"] == "ready")


async def test_what_the_services_declare_is_the_topology_and_nothing_else(
    real: SetUp, amqp_vhost: str, amqp_management_url: str
) -> None:
    found = await declared(real, amqp_management_url, amqp_vhost)

    assert in_order(found) == in_order(TOPOLOGY)


async def test_services_start_where_the_topology_was_imported(
    real: SetUp, amqp_url: str, amqp_vhost: str, amqp_management_url: str
) -> None:
    definitions = await declared(real, amqp_management_url, amqp_vhost)
    with fresh_vhost(amqp_url, amqp_management_url) as restored:
        async with open_client(amqp_management_url) as client:
            path = f"/api/definitions{urlsplit(restored).path}"
            (await client.post(path, json=definitions)).raise_for_status()
        assert in_order(await exported(amqp_management_url, restored)) == in_order(definitions)

        async with open_broker(restored) as broker:
            elsewhere = replace(real, broker=broker)
            found = await declared(elsewhere, amqp_management_url, restored)

    assert in_order(found) == in_order(definitions)


def test_the_definitions_that_are_deployed_contain_no_topology_and_no_policy() -> None:
    """A policy or an argument there would be a second word on what the services declare."""
    deployed = json.loads((ROOT / "deploy/rabbitmq/definitions.json").read_text())

    assert deployed.keys() == {"vhosts", "users", "permissions"}
    assert {user["name"] for user in deployed["users"]} == {
        "consumption",
        "recommendation",
        "operator",
    }
