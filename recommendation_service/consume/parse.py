"""Parse: turn a delivery into an event, or raise the reason why it can never be one."""

from datetime import timedelta
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from recommendation_service.event import Event, ParkReason, Unprocessable, event_id_of
from shared.broker.interface import Delivery
from shared.clock import utc_now
from shared.events import SCHEMA_VERSION, Kind, UserErased, WatchEvent
from shared.uuid7 import new_id

MAX_CLOCK_SKEW: Final = timedelta(days=1)  # a time further ahead is refused


Body = TypeVar("Body", bound=BaseModel)


def parse_event(delivery: Delivery, max_bytes: int) -> Event:
    """Return the event of a delivery, or raise `Unprocessable`."""
    check_envelope(delivery, max_bytes)
    return _event(_kind(delivery), parse_body(delivery, WatchEvent), delivery.message_id)


def parse_erasure(delivery: Delivery, max_bytes: int) -> UserErased:
    """Return the erasure of a delivery, or raise `Unprocessable`."""
    check_envelope(delivery, max_bytes)
    erasure = parse_body(delivery, UserErased)
    if erasure.erased_at > utc_now() + MAX_CLOCK_SKEW:
        raise Unprocessable(
            ParkReason.UNREADABLE, f"{erasure.erased_at.isoformat()} is in the future"
        )
    return erasure


def check_envelope(delivery: Delivery, max_bytes: int) -> None:
    """Raise `Unprocessable` where the body is too large or the schema version unknown."""
    if len(delivery.body) > max_bytes:
        size = f"{len(delivery.body):,} bytes; the limit is {max_bytes:,}"
        raise Unprocessable(ParkReason.OVERSIZED, size)
    version = delivery.headers.get("x-schema-version", 1)
    if version != SCHEMA_VERSION:
        raise Unprocessable(ParkReason.UNKNOWN_VERSION, f"x-schema-version is {version!r}")


def _kind(delivery: Delivery) -> Kind:
    try:
        return Kind(delivery.routing_key)
    except ValueError:
        detail = f"the routing key is {delivery.routing_key!r}"
        raise Unprocessable(ParkReason.UNKNOWN_KIND, detail) from None


def parse_body(delivery: Delivery, kind: type[Body]) -> Body:
    """Return the validated body, or raise `Unprocessable` with the reasons."""
    try:
        return kind.model_validate_json(delivery.body)
    except ValidationError as error:
        wrong = [
            ".".join(map(str, detail["loc"])) + ": " + detail["msg"] for detail in error.errors()
        ]
        raise Unprocessable(ParkReason.UNREADABLE, "; ".join(wrong).removeprefix(": ")) from None


def _event(kind: Kind, content: WatchEvent, message_id: str | None) -> Event:
    now = utc_now()
    if content.watch_id is None and kind is Kind.DELETED:
        raise Unprocessable(ParkReason.UNREADABLE, "a deletion has to name its watch_id")
    # A message without an id is another event at each of its deliveries.
    event_id = event_id_of(message_id) if message_id else new_id()
    occurred_at = content.occurred_at or now
    reported_at = max(content.reported_at or occurred_at, occurred_at)
    if reported_at > now + MAX_CLOCK_SKEW:
        raise Unprocessable(ParkReason.UNREADABLE, f"{reported_at.isoformat()} is in the future")
    return Event(
        event_id,
        kind,
        content.watch_id or event_id,
        content.user_id,
        content.lesson_id,
        content.position,
        content.duration,
        occurred_at,
        reported_at,
        recorded_at=content.recorded_at or now,
        is_dated=content.recorded_at is not None,
        furthest=max(content.furthest or 0, content.position),
    )
