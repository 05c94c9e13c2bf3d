"""The interface of a broker, and its guarantees.

Delivery is at least once: a message may be delivered again whenever its acknowledgement did not
reach the broker, and a publisher that got no confirm has to publish again. Receivers are therefore
idempotent by `message_id`.

    BrokerError
    ├── BrokerUnavailable   it cannot be reached, or the connection is lost: try again later
    └── BrokerRefused       it refuses (credentials, virtual host, permissions, topology): trying
                            again does not help
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
    """The broker could not do what was asked; the text says why, and holds no secret."""


class BrokerUnavailable(BrokerError):
    """The broker cannot be reached, or the connection to it is lost."""


class BrokerRefused(BrokerError):
    """The broker answers, and refuses."""


class Message(NamedTuple):
    """A message to publish. Messages are always persistent and mandatory."""

    message_id: str
    routing_key: str
    body: bytes
    type: str = ""
    timestamp: datetime | None = None
    content_type: str = "application/json"
    headers: Headers = MappingProxyType({})


class PublishOutcome(Enum):
    """The outcome for one published message. Only `CONFIRMED` means that the broker has it."""

    CONFIRMED = "confirmed"
    UNROUTABLE = "unroutable"  # no queue is bound to receive it
    REFUSED = "refused"  # negatively acknowledged, for example because a queue is full
    UNKNOWN = "unknown"  # no answer in time, or the connection was lost: it may have arrived


class Delivery(NamedTuple):
    """A received message. It is settled by its `tag`, on the subscription it came from."""

    tag: int  # rises by one from delivery to delivery of a subscription
    message_id: str | None
    routing_key: str
    body: bytes
    type: str | None
    timestamp: datetime | None
    headers: Mapping[str, object]
    redelivered: bool
    delivery_count: int  # how often it was delivered and requeued before
    consumer: bytes = b""  # the tag of the consumer, where a subscription has several


class Publisher(Protocol):
    """Publishes to one exchange, with confirms."""

    async def publish(self, messages: Sequence[Message]) -> list[PublishOutcome]:
        """Publish together, and return the outcome of each, in the same order.

        A message id must not be in flight twice: one caller at a time, and no id twice in one call.
        Raises `BrokerUnavailable` when the connection was already lost before the call.
        """


class Subscription(Protocol):
    """Deliveries of one queue, acknowledged explicitly: never more unsettled than the prefetch.

    The prefetch counts for each partition of a queue.
    """

    async def receive(self, limit: int) -> list[Delivery]:
        """Wait for a delivery, and return it with others that have arrived, `limit` at most.

        Raises `BrokerUnavailable` when the connection or the consumer is lost. Unsettled deliveries
        then come again.
        """

    async def ack_up_to(self, tag: int) -> None:
        """Acknowledge this delivery and all earlier ones that are not settled.

        Silent when the connection is lost: the deliveries come again.
        """

    async def ack(self, tag: int) -> None:
        """Acknowledge this delivery alone; silent when the connection is lost."""

    async def reject(self, tag: int) -> None:
        """Reject this delivery for good: it is dead-lettered, see the queue's topology."""


@dataclass(frozen=True, slots=True)
class Depth:
    """The size of a queue."""

    ready: int  # messages that are not delivered
    consumers: int


class Broker(Protocol):
    """Opens publishers and subscriptions."""

    def publisher(self, exchange: Exchange) -> AbstractAsyncContextManager[Publisher]:
        """Connect, declare the exchange, and publish to it while the block lasts."""

    def subscription(
        self, queue: Queue, prefetch: int
    ) -> AbstractAsyncContextManager[Subscription]:
        """Connect, declare the queue with its exchange, and consume while the block lasts.

        Leaving the block cancels the consumer; unsettled deliveries are requeued.
        """

    async def depth(self, queue: Queue) -> Depth:
        """Return the depth of the queue, with the messages of its partitions."""
