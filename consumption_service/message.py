"""Message: what an event is on the exchange."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from consumption_service.commands import OutboxEvent
from shared.broker.interface import Message
from shared.events import SCHEMA_VERSION, Kind
from shared.tracing import HEADER, publishing

_TYPES: Final = {kind: f"watch.{kind.value}" for kind in Kind}
_HEADERS: Final = {"x-schema-version": SCHEMA_VERSION}


@contextmanager
def messages_of(events: Sequence[OutboxEvent], now: datetime) -> Iterator[list[Message]]:
    """Yield the messages that are published while the block lasts; each carries its trace on."""
    with publishing([event.traceparent for event in events]) as carried:
        yield [
            _message(event, now, traceparent)
            for event, traceparent in zip(events, carried, strict=True)
        ]


def _message(event: OutboxEvent, now: datetime, traceparent: str | None) -> Message:
    return Message(
        message_id=str(event.event_id),
        routing_key=event.kind.value,
        body=event.body.encode(),
        type=_TYPES[event.kind],
        timestamp=now,
        headers=_HEADERS if traceparent is None else {**_HEADERS, HEADER: traceparent},
    )
