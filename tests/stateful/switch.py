"""A broker that can be taken away and given back, and a service that listens to everything."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from shared.broker.interface import (
    Broker,
    BrokerUnavailable,
    Delivery,
    Depth,
    Message,
    Publisher,
    PublishOutcome,
    Subscription,
)
from shared.broker.topology import WATCH, Exchange, Queue

EVERYTHING: Final = Queue("listener.watch.#", WATCH, binding_key="#")
PREFETCH: Final = 1000


class Switch:
    """Stands between a service and a broker.

    Cut while a publisher waits, it loses the confirms. Afterwards it takes nothing: it is away, or
    has an answer for every message that is not the one hoped for.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._away = asyncio.Event()
        self._answer: PublishOutcome | None = None

    def cut(self, answer: PublishOutcome | None = None) -> None:
        self._away.set()
        self._answer = answer

    def mend(self) -> None:
        self._away.clear()

    def _refuse_while_away(self) -> None:
        if self._away.is_set() and not self._answer:
            raise BrokerUnavailable("the broker is away")

    @asynccontextmanager
    async def publisher(self, exchange: Exchange) -> AsyncIterator[Publisher]:
        """A publisher that ends with the connection."""
        self._refuse_while_away()
        async with self._broker.publisher(exchange) as publisher:
            yield SwitchedPublisher(self, publisher)

    async def publish(
        self, publisher: Publisher, messages: Sequence[Message]
    ) -> list[PublishOutcome]:
        """Publish, unless the broker is away; when it goes away meanwhile, nobody knows."""
        self._refuse_while_away()
        if self._away.is_set() and self._answer:
            return [self._answer] * len(messages)
        publishing = asyncio.ensure_future(publisher.publish(messages))
        cut = asyncio.ensure_future(self._away.wait())
        try:
            await asyncio.wait([publishing, cut], return_when=asyncio.FIRST_COMPLETED)
            return (
                publishing.result()
                if publishing.done()
                else [PublishOutcome.UNKNOWN] * len(messages)
            )
        finally:
            publishing.cancel()
            cut.cancel()

    @asynccontextmanager
    async def subscription(self, queue: Queue, prefetch: int) -> AsyncIterator[Subscription]:
        """A subscription that stays: what is cut here is publishing."""
        async with self._broker.subscription(queue, prefetch) as subscription:
            yield subscription

    async def depth(self, queue: Queue) -> Depth:
        """How deep the queue is."""
        return await self._broker.depth(queue)


class SwitchedPublisher:
    """Publishes through the switch."""

    def __init__(self, switch: Switch, publisher: Publisher) -> None:
        self._switch = switch
        self._publisher = publisher

    async def publish(self, messages: Sequence[Message]) -> list[PublishOutcome]:
        """Publish, and return what is known of each message."""
        return await self._switch.publish(self._publisher, messages)


class Listener:
    """Remembers every message; while it is mute, it acknowledges none."""

    def __init__(self) -> None:
        self._may_speak = asyncio.Event()
        self._may_speak.set()
        self.heard: dict[str, Delivery] = {}  # by message id

    def mute(self) -> None:
        self._may_speak.clear()

    def unmute(self) -> None:
        self._may_speak.set()

    async def listen(self, subscription: Subscription) -> None:
        """Receive for ever."""
        while True:
            for delivery in await subscription.receive(PREFETCH):
                self._remember(delivery)
                await self._may_speak.wait()
                await subscription.ack_up_to(delivery.tag)

    def _remember(self, delivery: Delivery) -> None:
        """The same id is the same event, however often it comes."""
        assert delivery.message_id
        before = self.heard.setdefault(delivery.message_id, delivery)
        assert (before.routing_key, before.body) == (delivery.routing_key, delivery.body)
        assert delivery.type == f"watch.{delivery.routing_key}"
        user_id = json.loads(delivery.body)["user_id"]
        assert delivery.headers == {"x-schema-version": 1, "x-user-id": str(user_id)}

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was said: bodies, each with the kind of its event."""
        return [
            {"event_id": id_, "kind": one.routing_key, **json.loads(one.body)}
            for id_, one in self.heard.items()
        ]
