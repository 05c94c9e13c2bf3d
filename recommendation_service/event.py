"""An event as it is learned, and the reasons why a message can never be one."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

from shared.broker.interface import Delivery
from shared.events import Kind, Position
from shared.ids import LessonId, UserId


class ParkReason(StrEnum):
    """Why a message was parked."""

    OVERSIZED = "oversized"
    UNKNOWN_VERSION = "unknown version"
    UNKNOWN_KIND = "unknown kind"
    UNREADABLE = "unreadable"
    NOT_LEARNABLE = "not learnable"  # readable, and learning it fails
    DEAD_LETTERED = "dead-lettered"  # by the broker, for example after too many deliveries


class Unprocessable(Exception):
    """A message that can never be processed."""

    def __init__(self, reason: ParkReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Event(NamedTuple):
    """What happened to a watch. Fields that a short message leaves out are filled in."""

    event_id: UUID
    kind: Kind
    watch_id: UUID
    user_id: UserId
    lesson_id: LessonId
    position: Position
    duration: Position | None
    occurred_at: datetime
    reported_at: datetime
    recorded_at: datetime
    is_dated: bool = True  # the message itself says when it was recorded
    furthest: Position | None = None  # None: the message does not say

    @property
    def key(self) -> tuple[UserId, UUID]:
        """The key of the watch."""
        return self.user_id, self.watch_id


def event_id_of(message_id: str) -> UUID:
    """Return the id of the event: the message id, or a UUID made of it."""
    try:
        return UUID(message_id)
    except ValueError:
        return uuid5(NAMESPACE_OID, message_id)


def is_erasure(delivery: Delivery) -> bool:
    """Whether a delivery erases a user."""
    return delivery.routing_key == Kind.ERASED
