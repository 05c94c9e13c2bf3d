"""What the tests of partitions have in common: processes, users, and what RabbitMQ says."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from shared.broker.interface import Delivery, Message, PublishOutcome, Subscription
from shared.broker.rabbitmq.broker import RabbitMQ
from shared.broker.topology import partition, partitioned
from shared.process.background import running
from tests.contract.conversation import LEARNER, PREFETCH, WATCHED, consumed
from tests.infrastructure.rabbit import receiving
from tests.support.eventually import PAUSE, eventually

QUEUE: Final = replace(LEARNER, name="learner.watched.*")
WHOLE: Final = {("watched", QUEUE.name)}  # the bindings of a queue that is not divided
USERS: Final = 40


class Api:
    """What RabbitMQ says of a virtual host."""

    def __init__(self, management_url: str, vhost: str) -> None:
        self._url = management_url
        self._vhost = urlsplit(vhost).path.removeprefix("/")

    async def ask(self, what: str) -> list[dict[str, Any]]:
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.get(f"{self._url}/api/{what}/{self._vhost}")
        return list(answer.raise_for_status().json())

    async def names(self, what: str) -> set[str]:
        return {one["name"] for one in await self.ask(what)}

    async def bindings(self) -> set[tuple[str, str]]:
        """From where to where messages go from the exchange that is published to."""
        found = {(one["source"], one["destination"]) for one in await self.ask("bindings")}
        reached = {"watched"} | {to for source, to in found if source == "watched"}
        return {(source, to) for source, to in found if source in reached}

    async def delete_queue(self, name: str) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            path = f"/api/queues/{self._vhost}/{quote(name, safe='')}"
            (await client.delete(self._url + path)).raise_for_status()

    async def active(self, count: int) -> Counter[str]:
        """How many of the partitions each connection receives."""
        names = {partition(QUEUE, number).name for number in range(1, count + 1)}
        return receiving(await self.ask("consumers"), names)


def routed(*numbers: int) -> set[tuple[str, str]]:
    """The bindings with which these partitions receive, and nothing else."""
    return {
        ("watched", "learner.watched"),
        *(("learner.watched", partition(QUEUE, number).name) for number in numbers),
    }


def of_users(numbers: Sequence[int]) -> list[Message]:
    """Messages, each with a number that says whose it is."""
    return [
        Message(f"{number}", "created", b"%d" % number, headers={"x-user-id": f"{number % USERS}"})
        for number in numbers
    ]


async def publish(broker: RabbitMQ, batch: Sequence[Message]) -> None:
    async with broker.publisher(WATCHED) as publisher:
        assert set(await publisher.publish(batch)) == {PublishOutcome.CONFIRMED}


async def emptied(broker: RabbitMQ, number: int) -> list[int]:
    """Take what a partition holds, in its order."""
    queue = partition(QUEUE, number)
    ready = (await broker.depth(queue)).ready
    async with broker.subscription(queue, PREFETCH) as subscription:
        return numbers_in(await consumed(subscription, ready))


def numbers_in(deliveries: Sequence[Delivery]) -> list[int]:
    return [int(one.body) for one in deliveries]


@asynccontextmanager
async def process(amqp_vhost: str, partitions: int) -> AsyncIterator[Subscription]:
    """A process that wants so many partitions."""
    broker = RabbitMQ(amqp_vhost)
    async with broker.subscription(partitioned(QUEUE, partitions), PREFETCH) as subscription:
        yield subscription
    await broker.close()


class Learner:
    """Acknowledges all that one process receives, and remembers it."""

    def __init__(self) -> None:
        self.learned: list[int] = []

    async def learn(self, subscription: Subscription) -> None:
        while True:
            deliveries = await subscription.receive(PREFETCH)
            await subscription.ack_up_to(deliveries[-1].tag)
            self.learned += numbers_in(deliveries)

    @asynccontextmanager
    async def process(self, amqp_vhost: str, partitions: int) -> AsyncIterator[None]:
        """Learn in a process that wants so many partitions."""
        async with (
            process(amqp_vhost, partitions) as subscription,
            running(self.learn(subscription), "learn"),
        ):
            yield


class Load:
    """Messages without end, each of which RabbitMQ has to confirm."""

    def __init__(self) -> None:
        self.sent = 0
        self._is_going_on = True

    async def send(self, broker: RabbitMQ) -> None:
        async with broker.publisher(WATCHED) as publisher:
            while self._is_going_on:
                batch = of_users(range(self.sent, self.sent + 20))
                assert set(await publisher.publish(batch)) == {PublishOutcome.CONFIRMED}
                self.sent += 20
                await asyncio.sleep(PAUSE)

    def stop(self) -> None:
        self._is_going_on = False

    async def more(self) -> None:
        """Wait until a hundred more are sent."""
        enough = self.sent + 100
        await eventually(lambda: self.sent >= enough)
