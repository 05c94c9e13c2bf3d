"""A queue of the in-process broker, and the consumers that compete for its messages."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Literal

from shared.broker.interface import BrokerUnavailable, Delivery, Depth, Message
from shared.broker.topology import Queue

DeathReason = Literal["rejected", "delivery_limit"]  # as RabbitMQ calls them


class Receipt:
    """What the publisher of a message waits for: that every copy of it is settled."""

    def __init__(self, copies: int) -> None:
        self.settled = asyncio.get_running_loop().create_future()
        self._open = copies

    def replace_one(self, copies: int) -> None:
        """One copy is gone, and so many others stand for it."""
        self._open += copies - 1
        if not self._open:
            self.settled.set_result(None)


@dataclass(slots=True, eq=False)
class Copy:
    """A message in one queue."""

    message: Message
    exchange: str
    receipt: Receipt
    position: int = 0  # in its queue, for ever: a copy that comes back goes where it was
    returns: int = 0  # how often it was delivered and came back


class InProcessQueue:
    """Hands messages to its consumers in turn, none of them more than it has room for."""

    def __init__(self, declared: Queue, bury: Callable[[Copy, Queue, DeathReason], None]) -> None:
        self.declared = declared
        self._bury = bury
        self._ready: deque[Copy] = deque()
        self._consumers: deque[InProcessSubscription] = deque()
        self._positions = count()

    @property
    def depth(self) -> Depth:
        """How many messages wait, for how many consumers."""
        return Depth(ready=len(self._ready), consumers=len(self._consumers))

    def put(self, copy: Copy) -> None:
        """Take a new copy, behind all others."""
        copy.position = next(self._positions)
        self._ready.append(copy)
        self.hand_out()

    def join(self, consumer: "InProcessSubscription") -> None:
        """Deliver to this consumer as well."""
        self._consumers.append(consumer)
        self.hand_out()

    def leave(self, consumer: "InProcessSubscription", unsettled: Sequence[Copy]) -> None:
        """Deliver no more to this consumer, and take back what it did not settle."""
        self._consumers.remove(consumer)
        wanted = self._still_wanted(unsettled)
        self._ready = deque(sorted([*self._ready, *wanted], key=_position))
        self.hand_out()

    def _still_wanted(self, copies: Sequence[Copy]) -> list[Copy]:
        """Count the return of each copy, and bury those that came back too often."""
        limit = self.declared.delivery_limit
        wanted = []
        for copy in copies:
            copy.returns += 1
            if limit is not None and copy.returns > limit:
                self._bury(copy, self.declared, "delivery_limit")
            else:
                wanted.append(copy)
        return wanted

    def reject(self, copy: Copy) -> None:
        """Bury a copy that its consumer does not want."""
        self._bury(copy, self.declared, "rejected")

    def hand_out(self) -> None:
        """Deliver while there is a message, and a consumer that has room for it."""
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
    """What one consumer receives."""

    def __init__(self, queue: InProcessQueue, prefetch: int) -> None:
        self._queue = queue
        self._prefetch = prefetch
        self._buffer: deque[Delivery] = deque()
        self._unsettled: dict[int, Copy] = {}  # by tag, rising
        self._tags = count(1)
        self._changed = asyncio.Event()
        self._has_ended = False
        queue.join(self)

    @property
    def has_room(self) -> bool:
        """Whether one more delivery stays within the prefetch."""
        return len(self._unsettled) < self._prefetch

    def deliver(self, copy: Copy) -> None:
        """Put the copy in line to be received."""
        tag = next(self._tags)
        self._unsettled[tag] = copy
        self._buffer.append(_delivery(tag, copy))
        self._changed.set()

    async def receive(self, limit: int) -> list[Delivery]:
        """Wait for a delivery, and return it with those that are there already."""
        while not self._buffer and not self._has_ended:
            self._changed.clear()
            await self._changed.wait()
        if self._has_ended:
            raise BrokerUnavailable("the subscription has ended")
        return [self._buffer.popleft() for _ in range(min(limit, len(self._buffer)))]

    async def ack_up_to(self, tag: int) -> None:
        """Acknowledge this delivery and all earlier ones that are not settled."""
        for earlier in [earlier for earlier in self._unsettled if earlier <= tag]:
            await self.ack(earlier)

    async def ack(self, tag: int) -> None:
        """Acknowledge this delivery alone."""
        copy = self._unsettled.pop(tag, None)
        if copy is not None:
            copy.receipt.replace_one(copies=0)
            self._queue.hand_out()

    async def reject(self, tag: int) -> None:
        """Refuse this delivery for good: it goes to the parking queue."""
        copy = self._unsettled.pop(tag, None)
        if copy is not None:
            self._queue.reject(copy)
            self._queue.hand_out()

    def end(self) -> None:
        """Receive nothing any more, and give back what is not settled."""
        unsettled = list(self._unsettled.values())
        self._unsettled.clear()
        self._has_ended = True
        self._changed.set()
        self._queue.leave(self, unsettled)


def _position(copy: Copy) -> int:
    return copy.position


def _delivery(tag: int, copy: Copy) -> Delivery:
    message = copy.message
    return Delivery(
        tag=tag,
        message_id=message.message_id,
        routing_key=message.routing_key,
        body=message.body,
        type=message.type or None,
        timestamp=_whole_seconds(message.timestamp),
        headers=dict(message.headers),
        redelivered=copy.returns > 0,
        delivery_count=copy.returns,
    )


def _whole_seconds(time: datetime | None) -> datetime | None:
    """Return what AMQP can say of a time."""
    return time and time.astimezone(UTC).replace(microsecond=0)
