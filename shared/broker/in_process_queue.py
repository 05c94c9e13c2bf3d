"""A queue of the in-process broker, and the consumers that compete for its messages."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from operator import attrgetter
from typing import Literal

from shared.broker.interface import BrokerUnavailable, Delivery, Depth, Message
from shared.broker.topology import Queue

DeathReason = Literal["rejected", "delivery_limit"]  # the names that RabbitMQ uses


class PendingConfirm:
    """The confirm of a published message. It is due when every queue has settled its copy."""

    def __init__(self, queues: int) -> None:
        self.settled = asyncio.get_running_loop().create_future()
        self._unsettled = queues

    def settle_one(self, dead_lettered: int = 0) -> None:
        """Settle one copy. Each dead-lettered copy that replaces it has to be settled, too."""
        self._unsettled += dead_lettered - 1
        if not self._unsettled:
            self.settled.set_result(None)


@dataclass(slots=True, eq=False)
class QueuedMessage:
    """The copy of a message in one queue."""

    message: Message
    exchange: str
    confirm: PendingConfirm
    position: int = 0  # in its queue; it keeps it when it is requeued
    delivery_count: int = 0  # how often it was delivered and requeued


class InProcessQueue:
    """Delivers messages to its consumers in turn, to none more than its prefetch."""

    def __init__(
        self, declared: Queue, dead_letter: Callable[[QueuedMessage, Queue, DeathReason], None]
    ) -> None:
        self.declared = declared
        self._dead_letter = dead_letter
        self._ready: deque[QueuedMessage] = deque()
        self._consumers: deque[InProcessSubscription] = deque()
        self._positions = count()

    @property
    def depth(self) -> Depth:
        """How many messages are ready, and how many consumers there are."""
        return Depth(ready=len(self._ready), consumers=len(self._consumers))

    def enqueue(self, queued: QueuedMessage) -> None:
        """Append a new message."""
        queued.position = next(self._positions)
        self._ready.append(queued)
        self.dispatch()

    def add_consumer(self, consumer: "InProcessSubscription") -> None:
        """Deliver to this consumer, too."""
        self._consumers.append(consumer)
        self.dispatch()

    def remove_consumer(
        self, consumer: "InProcessSubscription", unsettled: Sequence[QueuedMessage]
    ) -> None:
        """Deliver no more to this consumer, and requeue what it has not settled."""
        self._consumers.remove(consumer)
        requeued = self._within_delivery_limit(unsettled)
        self._ready = deque(sorted([*self._ready, *requeued], key=attrgetter("position")))
        self.dispatch()

    def _within_delivery_limit(self, unsettled: Sequence[QueuedMessage]) -> list[QueuedMessage]:
        """Count a delivery of each message, and dead-letter messages that had too many."""
        limit = self.declared.delivery_limit
        requeued = []
        for queued in unsettled:
            queued.delivery_count += 1
            if limit is not None and queued.delivery_count > limit:
                self._dead_letter(queued, self.declared, "delivery_limit")
            else:
                requeued.append(queued)
        return requeued

    def reject(self, queued: QueuedMessage) -> None:
        """Dead-letter a message that its consumer rejects."""
        self._dead_letter(queued, self.declared, "rejected")

    def dispatch(self) -> None:
        """Deliver while there is a message, and a consumer below its prefetch."""
        while self._ready and (consumer := self._next_with_room()):
            consumer.deliver(self._ready.popleft())

    def _next_with_room(self) -> "InProcessSubscription | None":
        for _ in range(len(self._consumers)):
            consumer = self._consumers[0]
            self._consumers.rotate(-1)
            if consumer.has_room:
                return consumer
        return None


class InProcessSubscription:
    """The deliveries to one consumer."""

    def __init__(self, queue: InProcessQueue, prefetch: int) -> None:
        self._queue = queue
        self._prefetch = prefetch
        self._buffer: deque[Delivery] = deque()
        self._unsettled: dict[int, QueuedMessage] = {}  # by tag, rising
        self._tags = count(1)
        self._changed = asyncio.Event()
        self._is_closed = False
        queue.add_consumer(self)

    @property
    def has_room(self) -> bool:
        """Whether one more delivery stays within the prefetch."""
        return len(self._unsettled) < self._prefetch

    def deliver(self, queued: QueuedMessage) -> None:
        """Let `receive` return the message."""
        tag = next(self._tags)
        self._unsettled[tag] = queued
        self._buffer.append(_delivery(tag, queued))
        self._changed.set()

    async def receive(self, limit: int) -> list[Delivery]:
        """Wait for a delivery, and return it with the others in the buffer."""
        while not self._buffer and not self._is_closed:
            self._changed.clear()
            await self._changed.wait()
        if self._is_closed:
            raise BrokerUnavailable("the subscription has ended")
        return [self._buffer.popleft() for _ in range(min(limit, len(self._buffer)))]

    async def ack_up_to(self, tag: int) -> None:
        """Acknowledge this delivery and all earlier ones that are not settled."""
        for earlier in [earlier for earlier in self._unsettled if earlier <= tag]:
            await self.ack(earlier)

    async def ack(self, tag: int) -> None:
        """Acknowledge this delivery alone."""
        queued = self._unsettled.pop(tag, None)
        if queued is not None:
            queued.confirm.settle_one()
            self._queue.dispatch()

    async def reject(self, tag: int) -> None:
        """Reject this delivery for good: it goes to the parking queue."""
        queued = self._unsettled.pop(tag, None)
        if queued is not None:
            self._queue.reject(queued)
            self._queue.dispatch()

    def close(self) -> None:
        """Receive nothing any more, and requeue what is not settled."""
        unsettled = list(self._unsettled.values())
        self._unsettled.clear()
        self._is_closed = True
        self._changed.set()
        self._queue.remove_consumer(self, unsettled)


def _delivery(tag: int, queued: QueuedMessage) -> Delivery:
    message = queued.message
    return Delivery(
        tag=tag,
        message_id=message.message_id,
        routing_key=message.routing_key,
        body=message.body,
        type=message.type or None,
        timestamp=_whole_seconds(message.timestamp),
        headers=dict(message.headers),
        redelivered=queued.delivery_count > 0,
        delivery_count=queued.delivery_count,
    )


def _whole_seconds(time: datetime | None) -> datetime | None:
    """Return the time as AMQP would transmit it."""
    return time and time.astimezone(UTC).replace(microsecond=0)
