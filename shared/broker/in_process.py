"""A broker inside the process, for one event loop, with RabbitMQ's semantics.

Its messages live in memory. What makes them durable is the publisher's outbox: a message is
confirmed only after every queue that received it has settled it, so after a crash the outbox still
holds all that was not consumed. A message that is rejected, or came back too often, is settled when
the consumer of the parking queue has acknowledged it; without a parking queue it is dropped, as by
RabbitMQ, and thereby settled.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.broker.in_process_queue import (
    Copy,
    DeathReason,
    InProcessQueue,
    InProcessSubscription,
    Receipt,
)
from shared.broker.interface import (
    BrokerRefused,
    BrokerUnavailable,
    Depth,
    Message,
    Publisher,
    PublishOutcome,
    Subscription,
)
from shared.broker.topic import matches
from shared.broker.topology import DEFAULT, Exchange, Queue


@dataclass(frozen=True)
class Binding:
    """A queue that receives from an exchange what fits the key."""

    exchange: Exchange
    key: str
    queue_name: str

    def takes(self, exchange: Exchange, routing_key: str) -> bool:
        """Tell whether a message on the exchange with this routing key goes to the queue."""
        if self.exchange != exchange:
            return False
        if exchange.type == "topic":
            return matches(self.key, routing_key)
        return self.key == routing_key


class InProcessBroker:
    """Keeps what was declared for as long as the process lives."""

    def __init__(self) -> None:
        self._exchanges: dict[str, Exchange] = {DEFAULT.name: DEFAULT}
        self._queues: dict[str, InProcessQueue] = {}
        self._bindings: set[Binding] = set()

    @asynccontextmanager
    async def publisher(self, exchange: Exchange) -> AsyncIterator[Publisher]:
        """Declare the exchange, and publish to it while the block lasts."""
        self._declare_exchange(exchange)
        publisher = InProcessPublisher(exchange, self._route)
        try:
            yield publisher
        finally:
            publisher.end()

    @asynccontextmanager
    async def subscription(self, queue: Queue, prefetch: int) -> AsyncIterator[Subscription]:
        """Declare the queue with all it needs, and consume while the block lasts."""
        if queue.parking is not None:
            self._declare_queue(queue.parking)
        subscription = InProcessSubscription(self._declare_queue(queue), prefetch)
        try:
            yield subscription
        finally:
            subscription.end()

    async def depth(self, queue: Queue) -> Depth:
        """Return how many messages wait in the queue, and for how many consumers."""
        declared = self._queues.get(queue.name)
        return declared.depth if declared else Depth(ready=0, consumers=0)

    def _declare_exchange(self, exchange: Exchange) -> None:
        if self._exchanges.setdefault(exchange.name, exchange) != exchange:
            raise BrokerRefused(f"exchange {exchange.name!r} exists, but of another type")

    def _declare_queue(self, queue: Queue) -> InProcessQueue:
        self._declare_exchange(queue.exchange)
        found = self._queues.setdefault(queue.name, InProcessQueue(queue, self._bury))
        if _promises(found.declared) != _promises(queue):
            raise BrokerRefused(f"queue {queue.name!r} exists, but with other arguments")
        self._bindings.add(Binding(queue.exchange, queue.binding_key, queue.name))
        self._bindings.add(Binding(DEFAULT, queue.name, queue.name))
        return found

    def _route(self, exchange: Exchange, message: Message) -> Receipt | None:
        """Put the message in every queue it is for. Nothing is returned when there is none."""
        names = self._destinations(exchange, message.routing_key)
        if not names:
            return None
        receipt = Receipt(copies=len(names))
        for name in names:
            self._queues[name].put(Copy(message, exchange.name, receipt))
        return receipt

    def _destinations(self, exchange: Exchange, routing_key: str) -> set[str]:
        return {
            binding.queue_name for binding in self._bindings if binding.takes(exchange, routing_key)
        }

    def _bury(self, copy: Copy, queue: Queue, reason: DeathReason) -> None:
        """Move a copy that is wanted no more to where its queue parks such ones."""
        if queue.parking is None:
            copy.receipt.replace_one(copies=0)
            return
        exchange, routing_key = queue.parking.exchange, queue.parking.binding_key
        names = self._destinations(exchange, routing_key)
        headers = _obituary(copy, queue, reason) | dict(copy.message.headers)
        message = copy.message._replace(routing_key=routing_key, headers=headers)
        copy.receipt.replace_one(copies=len(names))
        for name in names:
            self._queues[name].put(Copy(message, exchange.name, copy.receipt))


class InProcessPublisher:
    """Publishes to one exchange."""

    def __init__(
        self, exchange: Exchange, route: Callable[[Exchange, Message], Receipt | None]
    ) -> None:
        self._exchange = exchange
        self._route = route
        self._has_ended = False

    async def publish(self, messages: Sequence[Message]) -> list[PublishOutcome]:
        """Publish, and return what became of each once all copies are settled."""
        if self._has_ended:
            raise BrokerUnavailable("the publisher has ended")
        receipts = [self._route(self._exchange, message) for message in messages]
        awaited = [receipt.settled for receipt in receipts if receipt]
        if awaited:
            await asyncio.wait(awaited)
        return [
            PublishOutcome.CONFIRMED if receipt else PublishOutcome.UNROUTABLE
            for receipt in receipts
        ]

    def end(self) -> None:
        """Publish nothing any more."""
        self._has_ended = True


def _promises(queue: Queue) -> tuple[object, ...]:
    """Return what cannot be changed by declaring the queue again."""
    parking = queue.parking
    return queue.delivery_limit, parking and (parking.exchange.name, parking.binding_key)


def _obituary(copy: Copy, queue: Queue, reason: DeathReason) -> dict[str, str | int]:
    return {
        "x-first-death-reason": reason,
        "x-first-death-queue": queue.name,
        "x-first-death-exchange": copy.exchange,
    }
