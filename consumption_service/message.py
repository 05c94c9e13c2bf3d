"""Message: what an event is on the exchange."""

from datetime import datetime
from typing import Final

from consumption_service.commands import OutboxEvent
from shared.broker.interface import Message
from shared.events import SCHEMA_VERSION, Kind

_TYPES: Final = {kind: f"watch.{kind.value}" for kind in Kind}
_HEADERS: Final = {"x-schema-version": SCHEMA_VERSION}


def message_of(event: OutboxEvent, now: datetime) -> Message:
    """Return the message that is published now."""
    return Message(
        message_id=str(event.event_id),
        routing_key=event.kind.value,
        body=event.body.encode(),
        type=_TYPES[event.kind],
        timestamp=now,
        headers=_HEADERS,
    )
