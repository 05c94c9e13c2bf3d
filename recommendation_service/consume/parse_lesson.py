"""Parse a lesson: turn a delivery into the state of a lesson, or raise why it can never be one."""

from typing import Final

from recommendation_service.consume.parse import MAX_CLOCK_SKEW, check_envelope, parse_body
from recommendation_service.event import ParkReason, Unprocessable
from recommendation_service.learn.lessons import LessonState, deleted
from shared.broker.interface import Delivery
from shared.clock import utc_now
from shared.lessons import LessonEvent

DELETED: Final = "deleted"
KINDS: Final = ("created", "updated", DELETED)


def parse_lesson(delivery: Delivery, max_bytes: int) -> LessonState:
    """Return the state of a delivery, or raise `Unprocessable`."""
    check_envelope(delivery, max_bytes)
    if delivery.routing_key not in KINDS:
        detail = f"the routing key is {delivery.routing_key!r}"
        raise Unprocessable(ParkReason.UNKNOWN_KIND, detail)
    event = parse_body(delivery, LessonEvent)
    now = utc_now()
    updated_at = event.updated_at or now
    if updated_at > now + MAX_CLOCK_SKEW:
        raise Unprocessable(ParkReason.UNREADABLE, f"{updated_at.isoformat()} is in the future")
    if delivery.routing_key == DELETED:
        return deleted(event.lesson_id, updated_at)
    return LessonState(event.lesson_id, event, updated_at)
