"""The topology as data: which exchanges and queues there are, and what they promise.

    exchange watch (topic) --*--> queue recommendation.watch.*
                                      | rejected, or delivered too often
                                      v
    exchange watch.dlx (direct) ----> queue recommendation.watch.*.parked

Whoever starts first declares what it needs; declaring again changes nothing. The arguments are
given at declaration and not by policy, because losing them would lose messages.
"""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange. The nameless one routes to the queue that the routing key names."""

    name: str
    type: Literal["topic", "direct"]


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable quorum queue with its one binding."""

    name: str
    exchange: Exchange
    binding_key: str
    parking: "Queue | None" = None  # where rejected and too often delivered messages go
    delivery_limit: int | None = None  # redeliveries before a message is parked


def queue_name(service: str, exchange: Exchange, binding_key: str) -> str:
    """Return the queue's name by the pattern `<service>.<exchange>.<binding>`."""
    return f"{service}.{exchange.name}.{binding_key}"


DEFAULT: Final = Exchange("", "direct")
WATCH: Final = Exchange("watch", "topic")
PARKING: Final = Exchange("watch.dlx", "direct")

RECOMMENDATION_NAME: Final = queue_name("recommendation", WATCH, "*")
RECOMMENDATION_PARKED: Final = Queue(
    name=f"{RECOMMENDATION_NAME}.parked",
    exchange=PARKING,
    binding_key=RECOMMENDATION_NAME,
    delivery_limit=1_000_000,  # in effect none; by default RabbitMQ 4 drops a message after 20
)
RECOMMENDATION: Final = Queue(
    name=RECOMMENDATION_NAME,
    exchange=WATCH,
    binding_key="*",
    parking=RECOMMENDATION_PARKED,
    delivery_limit=20,
)
