"""Least rights: what the definitions let each service do in RabbitMQ is enough, and no more."""

import json
import re
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import pytest
import pytest_asyncio

from shared.broker.connect import open_broker
from shared.broker.interface import Broker, BrokerRefused, Message, PublishOutcome
from shared.broker.topology import (
    CONSUMPTION_ERASURE,
    CONSUMPTION_ERASURE_PARKED,
    ERASURE,
    RECOMMENDATION_LESSON,
    RECOMMENDATION_LESSON_PARKED,
    RECOMMENDATION_WATCH,
    RECOMMENDATION_WATCH_PARKED,
    WATCH,
    Queue,
)
from tests.infrastructure import fresh_user
from tests.support.pair import Pair, SetUp, learned, parked
from tests.support.repository import ROOT

DEFINITIONS: Final = json.loads((ROOT / "deploy/rabbitmq/definitions.json").read_text())
QUEUES: Final = {
    "consumption": (CONSUMPTION_ERASURE, CONSUMPTION_ERASURE_PARKED),
    "recommendation": (
        RECOMMENDATION_WATCH,
        RECOMMENDATION_WATCH_PARKED,
        RECOMMENDATION_LESSON,
        RECOMMENDATION_LESSON_PARKED,
    ),
}
PERMISSIONS: Final = {right["user"]: right for right in DEFINITIONS["permissions"]}


@dataclass(frozen=True, slots=True)
class Accounts:
    """The same virtual host, as each service and as somebody who may do everything."""

    consumption: str
    recommendation: str
    everything: str


@pytest_asyncio.fixture
async def accounts(amqp_vhost: str, amqp_management_url: str) -> AsyncGenerator[Accounts]:
    vhost = urlsplit(amqp_vhost).path.removeprefix("/")

    def account(name: str) -> Any:
        rights = {what: PERMISSIONS[name][what] for what in ("configure", "write", "read")}
        return fresh_user(amqp_management_url, f"{name}-{uuid.uuid4().hex}", vhost, rights)

    with account("consumption") as consumption, account("recommendation") as recommendation:
        yield Accounts(
            with_login(amqp_vhost, consumption), with_login(amqp_vhost, recommendation), amqp_vhost
        )


def with_login(url: str, login: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


@pytest.mark.parametrize("partitions", [1, 2])
async def test_a_watch_is_learned_and_a_message_parked_with_no_more_rights_than_these(
    accounts: Accounts, postgres_database: str, another_postgres_database: str, partitions: int
) -> None:
    databases = (postgres_database, another_postgres_database)
    async with (
        open_broker(accounts.consumption) as recording,
        open_broker(accounts.recommendation) as learning,
        SetUp(*databases, learning).recommendation(partitions=partitions) as recommendation,
        SetUp(*databases, recording).consumption() as consumption,
    ):
        await Pair(consumption, recommendation).watch(42, 100, 200)
        await learned(recommendation, 2)
        async with open_broker(accounts.everything) as anybody:
            await publish(anybody, b"no JSON")
        await parked(recommendation, 1)


@pytest.mark.parametrize("service", ["consumption", "recommendation"])
async def test_a_service_may_consume_its_queues_and_nobody_elses(
    accounts: Accounts, service: str
) -> None:
    async with open_broker(accounts.everything) as anybody:
        for queue in (*QUEUES["consumption"], *QUEUES["recommendation"]):
            await declare(anybody, queue)
    async with open_broker(getattr(accounts, service)) as broker:
        for owner, queues in QUEUES.items():
            for queue in queues:
                if owner == service:
                    await declare(broker, queue)
                else:
                    with pytest.raises(BrokerRefused):
                        await declare(broker, queue)


async def test_who_learns_cannot_make_up_watches_and_confirms_erasures(accounts: Accounts) -> None:
    async with open_broker(accounts.consumption) as recording:
        await declare(recording, CONSUMPTION_ERASURE)
    async with open_broker(accounts.recommendation) as learning:
        await declare(learning, RECOMMENDATION_WATCH)
        async with learning.publisher(ERASURE) as publisher:
            done = await publisher.publish([Message("an id", "done", b"{}")])
        made_up = await publish(learning, b"{}")

    assert done == [PublishOutcome.CONFIRMED]
    assert made_up != [PublishOutcome.CONFIRMED]


async def test_who_records_cannot_confirm_its_own_erasures(accounts: Accounts) -> None:
    async with open_broker(accounts.consumption) as recording:
        await declare(recording, CONSUMPTION_ERASURE)
        async with recording.publisher(ERASURE) as publisher:
            done = await publisher.publish([Message("an id", "done", b"{}")])

    assert done != [PublishOutcome.CONFIRMED]


async def declare(broker: Broker, queue: Queue) -> None:
    async with broker.subscription(queue, 1):
        pass


async def publish(broker: Broker, body: bytes) -> list[PublishOutcome]:
    async with broker.publisher(WATCH) as publisher:
        return list(await publisher.publish([Message("an id", "created", body)]))


@pytest.mark.parametrize("user", ["consumption", "recommendation"])
def test_no_service_may_do_everything(user: str) -> None:
    (account,) = (one for one in DEFINITIONS["users"] if one["name"] == user)

    assert account["tags"] == []
    for what in ("configure", "write", "read"):
        assert not re.search(PERMISSIONS[user][what], "anything")
        assert not re.search(PERMISSIONS[user][what], "watch.*")  # as the name of a queue of others
