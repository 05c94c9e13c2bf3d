"""Messages: each message type with its exchange and body, and the consumers of the services.

The AsyncAPI document is generated from them.
"""

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from shared.broker.topology import (
    CONSUMPTION_ERASURE,
    ERASURE,
    LESSON,
    RECOMMENDATION_LESSON,
    RECOMMENDATION_WATCH,
    WATCH,
    Exchange,
    Queue,
)
from shared.events import ERASURE_DONE, ErasureDone, UserErased, WatchEvent
from shared.lessons import LessonEvent

CONSUMPTION_SERVICE: Final = "consumption service"
RECOMMENDATION_SERVICE: Final = "recommendation service"


@dataclass(frozen=True, slots=True)
class MessageType:
    """A message type."""

    exchange: Exchange
    routing_key: str
    body: type[BaseModel]
    summary: str
    sender: str | None  # None: other systems send it

    @property
    def name(self) -> str:
        """Return the AMQP property `type` of such a message."""
        return f"{self.exchange.name}.{self.routing_key}"


@dataclass(frozen=True, slots=True)
class Consumer:
    """A service that consumes the messages of one exchange from its own queue."""

    service: str
    queue: Queue
    purpose: str  # what the service does with them


MESSAGES: Final = (
    MessageType(WATCH, "created", WatchEvent, "A watch was recorded.", CONSUMPTION_SERVICE),
    MessageType(
        WATCH, "updated", WatchEvent, "A watch moved to a new position.", CONSUMPTION_SERVICE
    ),
    MessageType(WATCH, "deleted", WatchEvent, "A watch was undone.", CONSUMPTION_SERVICE),
    MessageType(WATCH, "erased", UserErased, "A user was erased.", CONSUMPTION_SERVICE),
    MessageType(ERASURE, ERASURE_DONE, ErasureDone, "An erasure is done.", RECOMMENDATION_SERVICE),
    MessageType(LESSON, "created", LessonEvent, "A lesson is new in the catalogue.", None),
    MessageType(LESSON, "updated", LessonEvent, "What is known of a lesson changed.", None),
    MessageType(LESSON, "deleted", LessonEvent, "A lesson left the catalogue.", None),
)

CONSUMERS: Final = (
    Consumer(
        RECOMMENDATION_SERVICE, RECOMMENDATION_WATCH, "learns what was watched, each event once"
    ),
    Consumer(RECOMMENDATION_SERVICE, RECOMMENDATION_LESSON, "keeps the catalogue of lessons"),
    Consumer(
        CONSUMPTION_SERVICE, CONSUMPTION_ERASURE, "stores in its receipts that erasures are done"
    ),
)
