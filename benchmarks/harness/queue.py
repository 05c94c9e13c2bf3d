"""A full queue: events of watches nobody has learned yet."""

import random
from typing import Final

from benchmarks.harness.wrk import LESSONS, USERS
from benchmarks.peers.rows import QUEUE
from shared.broker.connect import open_broker
from shared.broker.interface import Broker, Message, PublishOutcome
from shared.broker.topology import USER_HEADER, WATCH, Queue, partition
from shared.clock import utc_now
from shared.errors import CannotStart
from shared.events import WatchEvent
from shared.ids import LessonId, UserId
from shared.uuid7 import new_id

PEERS: Final = Queue(QUEUE, WATCH, "*")
AT_ONCE: Final = 1000  # events in one publish


async def fill(amqp: str, queue: Queue, count: int) -> None:
    """Declare the queue with its partitions, and publish so many events, confirmed."""
    async with open_broker(amqp) as broker:
        async with broker.subscription(queue, 1):
            pass  # declared
        async with broker.publisher(WATCH) as publisher:
            for start in range(0, count, AT_ONCE):
                some = [_message() for _ in range(start, min(start + AT_ONCE, count))]
                if set(await publisher.publish(some)) != {PublishOutcome.CONFIRMED}:
                    raise CannotStart("RabbitMQ did not confirm what the queue was filled with.")


async def waiting(broker: Broker, queue: Queue) -> int:
    """Return how many messages wait to be delivered, in the queue and its partitions."""
    parts = [partition(queue, number + 1) for number in range(queue.partitions or 0)]
    depths = [await broker.depth(one) for one in (queue, *parts)]
    return sum(one.ready for one in depths)


async def left(amqp: str, queue: Queue) -> int:
    """Connect, and return how many messages wait to be delivered."""
    async with open_broker(amqp) as broker:
        return await waiting(broker, queue)


def _message() -> Message:
    now, number = utc_now(), new_id()
    event = WatchEvent(
        user_id=UserId(random.randrange(USERS)),  # noqa: S311 - nothing secret about a user
        lesson_id=LessonId(int(random.random() ** 2 * LESSONS)),  # noqa: S311
        position=0,
        watch_id=number,
        occurred_at=now,
        reported_at=now,
        recorded_at=now,
    )
    body = event.model_dump_json(exclude_none=True).encode()
    headers = {USER_HEADER: str(event.user_id)}
    return Message(str(number), "created", body, "watch.created", now, headers=headers)
