"""What a broker promises, whichever it is.

Delivery is at least once: a message may be delivered again whenever its acknowledgement did not
reach the broker, and a publisher that did not get a confirm has to publish again. Receivers are
therefore idempotent by `message_id`.

    BrokerError
    ├── BrokerUnavailable   cannot be reached, or went away: try again later
    └── BrokerRefused       it answered, and said no (credentials, virtual host, rights, topology):
                            trying again does not help
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple, Protocol

from shared.broker.topology import Exchange, Queue

Headers = Mapping[str, str | int]


class BrokerError(Exception):
    """The broker could not do what was asked; the text says why, without any secret."""


class BrokerUnavailable(BrokerError):
    """The broker cannot be reached, or went away."""


class BrokerRefused(BrokerError):
    """The broker answered, and refuses."""


class Message(NamedTuple):
    """What a publisher sends. Messages are always persistent and mandatory."""

    message_id: str
    routing_key: str
    body: bytes
    type: str = ""
    timestamp: datetime | None = None
    content_type: str = "application/json"
    headers: Headers = MappingProxyType({})


class PublishOutcome(Enum):
    """What became of a published message. Only `CONFIRMED` means that the broker has it."""

    CONFIRMED = "confirmed"
    UNROUTABLE = "unroutable"  # no queue would receive it
    REFUSED = "refused"  # negatively acknowledged, for example because a queue is full
    UNKNOWN = "unknown"  # no answer in time, or the connection was lost: it may have arrived


class Delivery(NamedTuple):
    """A message as it was received. Settled by its `tag`, on the subscription it came from."""

    tag: int  # rises by one from delivery to delivery of a subscription
    message_id: str | None
    routing_key: str
    body: bytes
    type: str | None
    timestamp: datetime | None
    headers: Mapping[str, object]
    redelivered: bool
    delivery_count: int  # how often it was delivered before and came back
    consumer: bytes = b""  # which consumer of the subscription received it, where there are several


class Publisher(Protocol):
    """Publishes to one exchange, with confirms."""

    async def publish(self, messages: Sequence[Message]) -> list[PublishOutcome]:
        """Publish in one go, and return what became of each, in the same order.

        A message id must not be in flight twice: one caller at a time, and no id twice in one call.
        Raises `BrokerUnavailable` when the connection was already lost before the call.
        """


class Subscription(Protocol):
    """Deliveries of one queue, acknowledged by hand: never more unsettled than the prefetch.

    Of a queue with partitions, so many from each.
    """

    async def receive(self, limit: int) -> list[Delivery]:
        """Wait for a delivery, and return it with those that are there already, `limit` at most.

        Raises `BrokerUnavailable` when the connection or the consumer is lost; what was not
        acknowledged then will be delivered again.
        """

    async def ack_up_to(self, tag: int) -> None:
        """Acknowledge this delivery and all earlier ones that are not settled.

        Silent when the connection is lost: the deliveries come again.
        """

    async def ack(self, tag: int) -> None:
        """Acknowledge this delivery alone; silent when the connection is lost."""

    async def reject(self, tag: int) -> None:
        """Refuse this delivery for good: it is dead-lettered, see the queue's topology."""


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages a queue holds."""

    ready: int
    consumers: int


class Broker(Protocol):
    """The way to publish and to subscribe."""

    def publisher(self, exchange: Exchange) -> AbstractAsyncContextManager[Publisher]:
        """Connect, declare the exchange, and publish to it while the block lasts."""

    def subscription(
        self, queue: Queue, prefetch: int
    ) -> AbstractAsyncContextManager[Subscription]:
        """Connect, declare the queue with all it needs, and consume while the block lasts.

        Leaving the block cancels the consumer; what is not settled goes back to the queue.
        """

    async def depth(self, queue: Queue) -> Depth:
        """Return how many messages wait in the queue and its partitions, for how many consumers."""
