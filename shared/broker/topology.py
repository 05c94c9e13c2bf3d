"""The topology as data: exchanges, queues, bindings and their arguments.

    exchange watch (topic) ----*--> queue recommendation.watch.*
    exchange lesson (topic) ---*--> queue recommendation.lesson.*
    exchange erasure (topic) --*--> queue consumption.erasure.*
                                        | rejected, or delivered too often
                                        v
    exchange watch.dlx, lesson.dlx or
    erasure.dlx (direct) ---------> the queue's name with .parked at its end

With partitions, which share the parking queue:

    exchange watch (topic) ----*--> exchange recommendation.watch (x-consistent-hash)
                                        | by the header x-user-id
                                        +--> queue recommendation.watch.*.1
                                        +--> queue recommendation.watch.*.2, and so on

Each process declares what it needs; declaring again changes nothing. The arguments are given at
declaration and not by policy, because losing them would lose messages.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange. The default one has no name, and routes to the queue named by the key.

    An exchange of the type `x-consistent-hash` routes by the header `x-user-id`.
    """

    name: str
    type: Literal["topic", "direct", "x-consistent-hash"]


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable quorum queue with its one binding."""

    name: str
    exchange: Exchange
    binding_key: str
    parking: "Queue | None" = None  # for messages that are rejected, or delivered too often
    delivery_limit: int | None = None  # redeliveries before a message is parked
    partitions: int | None = None  # the number wanted; None: it can have none
    single_active_consumer: bool = False  # one consumer gets everything, the others stand by


def queue_name(service: str, exchange: Exchange, binding_key: str) -> str:
    """Return the queue's name by the pattern `<service>.<exchange>.<binding>`."""
    return f"{service}.{exchange.name}.{binding_key}"


def parking_queue(name: str, exchange: Exchange) -> Queue:
    """Return the parking queue: where the queue of this name dead-letters to."""
    return Queue(
        name=f"{name}.parked",
        exchange=Exchange(f"{exchange.name}.dlx", "direct"),
        binding_key=name,
        delivery_limit=1_000_000,  # in effect none; by default RabbitMQ 4 drops a message after 20
    )


def consuming_queue(service: str, exchange: Exchange) -> Queue:
    """Return the queue by which a service consumes all messages of an exchange."""
    name = queue_name(service, exchange, "*")
    return Queue(name, exchange, "*", parking=parking_queue(name, exchange), delivery_limit=20)


def partitioned(queue: Queue, partitions: int) -> Queue:
    """Return the queue with this number of partitions.

    With 1 it has none, and gets the messages itself.
    """
    return replace(queue, partitions=partitions)


def hash_exchange(queue: Queue) -> Exchange:
    """Return the exchange that routes each message to one of the queue's partitions."""
    return Exchange(queue.name.removesuffix(f".{queue.binding_key}"), "x-consistent-hash")


def partition(queue: Queue, number: int) -> Queue:
    """Return a partition of the queue. The first one has the number 1."""
    return Queue(
        name=f"{queue.name}.{number}",
        exchange=hash_exchange(queue),
        binding_key="1",  # the same share for each
        parking=queue.parking,
        delivery_limit=queue.delivery_limit,
        single_active_consumer=True,
    )


def partition_vote(queue: Queue) -> Queue:
    """Return a queue without messages. A process votes for this number by consuming it."""
    return Queue(f"{queue.name}.partitions.{queue.partitions}", DEFAULT, "")


USER_HEADER: Final = "x-user-id"  # the user that the message is about, in decimal

DEFAULT: Final = Exchange("", "direct")
WATCH: Final = Exchange("watch", "topic")
LESSON: Final = Exchange("lesson", "topic")
ERASURE: Final = Exchange("erasure", "topic")

RECOMMENDATION_WATCH: Final = consuming_queue("recommendation", WATCH)
RECOMMENDATION_WATCH_PARKED: Final = parking_queue(RECOMMENDATION_WATCH.name, WATCH)
RECOMMENDATION_LESSON: Final = consuming_queue("recommendation", LESSON)
RECOMMENDATION_LESSON_PARKED: Final = parking_queue(RECOMMENDATION_LESSON.name, LESSON)
CONSUMPTION_ERASURE: Final = consuming_queue("consumption", ERASURE)
CONSUMPTION_ERASURE_PARKED: Final = parking_queue(CONSUMPTION_ERASURE.name, ERASURE)
