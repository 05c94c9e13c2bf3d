"""A broker inside the process, for one event loop, with RabbitMQ's semantics.

Its messages live in memory; the publisher's outbox makes them durable. A message is confirmed only
after every queue that received it has settled it, so after a crash the outbox still holds all that
was not consumed. A message that is rejected, or was requeued too often, is dead-lettered: it is
settled when a consumer of the parking queue has acknowledged it. Without a parking queue it is
dropped, as RabbitMQ does, and thereby settled.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.broker.in_process_queue import (
    DeathReason,
    InProcessQueue,
    InProcessSubscription,
    PendingConfirm,
    QueuedMessage,
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
from shared.broker.topic import topic_matches
from shared.broker.topology import DEFAULT, Exchange, Queue


@dataclass(frozen=True)
class Binding:
    """A queue that receives messages of an exchange whose routing keys match."""

    exchange: Exchange
    key: str
    queue_name: str

    def matches(self, exchange: Exchange, routing_key: str) -> bool:
        """Tell whether the queue receives messages of this exchange and routing key."""
        if self.exchange != exchange:
            return False
        if exchange.type == "topic":
            return topic_matches(self.key, routing_key)
        return self.key == routing_key


class InProcessBroker:
    """Keeps exchanges, queues and messages as long as the process lives."""

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
            publisher.close()

    @asynccontextmanager
    async def subscription(self, queue: Queue, prefetch: int) -> AsyncIterator[Subscription]:
        """Declare the queue with all it needs, and consume while the block lasts."""
        if queue.parking is not None:
            self._declare_queue(queue.parking)
        subscription = InProcessSubscription(self._declare_queue(queue), prefetch)
        try:
            yield subscription
        finally:
            subscription.close()

    async def depth(self, queue: Queue) -> Depth:
        """Return how many messages are ready in the queue, and how many consumers it has."""
        declared = self._queues.get(queue.name)
        return declared.depth if declared else Depth(ready=0, consumers=0)

    def _declare_exchange(self, exchange: Exchange) -> None:
        if self._exchanges.setdefault(exchange.name, exchange) != exchange:
            raise BrokerRefused(f"exchange {exchange.name!r} exists, but of another type")

    def _declare_queue(self, queue: Queue) -> InProcessQueue:
        self._declare_exchange(queue.exchange)
        found = self._queues.setdefault(queue.name, InProcessQueue(queue, self._dead_letter))
        if _fixed_arguments(found.declared) != _fixed_arguments(queue):
            raise BrokerRefused(f"queue {queue.name!r} exists, but with other arguments")
        self._bindings.add(Binding(queue.exchange, queue.binding_key, queue.name))
        self._bindings.add(Binding(DEFAULT, queue.name, queue.name))
        return found

    def _route(self, exchange: Exchange, message: Message) -> PendingConfirm | None:
        """Enqueue the message in every queue that matches; return None when there is none."""
        names = self._destinations(exchange, message.routing_key)
        if not names:
            return None
        confirm = PendingConfirm(len(names))
        for name in names:
            self._queues[name].enqueue(QueuedMessage(message, exchange.name, confirm))
        return confirm

    def _destinations(self, exchange: Exchange, routing_key: str) -> set[str]:
        return {
            binding.queue_name
            for binding in self._bindings
            if binding.matches(exchange, routing_key)
        }

    def _dead_letter(self, queued: QueuedMessage, queue: Queue, reason: DeathReason) -> None:
        """Move a message to the parking queue of its queue, or drop it where there is none."""
        if queue.parking is None:
            queued.confirm.settle_one()
            return
        exchange, routing_key = queue.parking.exchange, queue.parking.binding_key
        names = self._destinations(exchange, routing_key)
        headers = _death_headers(queued, queue, reason) | dict(queued.message.headers)
        message = queued.message._replace(routing_key=routing_key, headers=headers)
        queued.confirm.settle_one(dead_lettered=len(names))
        for name in names:
            self._queues[name].enqueue(QueuedMessage(message, exchange.name, queued.confirm))


class InProcessPublisher:
    """Publishes to one exchange."""

    def __init__(
        self, exchange: Exchange, route: Callable[[Exchange, Message], PendingConfirm | None]
    ) -> None:
        self._exchange = exchange
        self._route = route
        self._is_closed = False

    async def publish(self, messages: Sequence[Message]) -> list[PublishOutcome]:
        """Publish, and return the outcome of each once all copies are settled."""
        if self._is_closed:
            raise BrokerUnavailable("the publisher has ended")
        confirms = [self._route(self._exchange, message) for message in messages]
        settled = [confirm.settled for confirm in confirms if confirm]
        if settled:
            await asyncio.wait(settled)
        return [
            PublishOutcome.CONFIRMED if confirm else PublishOutcome.UNROUTABLE
            for confirm in confirms
        ]

    def close(self) -> None:
        """Publish nothing any more."""
        self._is_closed = True


def _fixed_arguments(queue: Queue) -> tuple[object, ...]:
    """Return the arguments that another declaration of the queue must repeat."""
    parking = queue.parking
    return queue.delivery_limit, parking and (parking.exchange.name, parking.binding_key)


def _death_headers(
    queued: QueuedMessage, queue: Queue, reason: DeathReason
) -> dict[str, str | int]:
    return {
        "x-first-death-reason": reason,
        "x-first-death-queue": queue.name,
        "x-first-death-exchange": queued.exchange,
    }
