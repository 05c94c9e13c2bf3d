"""Messages: events as they are published to the exchange."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from pydantic_core import from_json

from consumption_service.event import OutboxEvent
from shared.broker.interface import Headers, Message
from shared.broker.topology import USER_HEADER
from shared.events import SCHEMA_VERSION, Kind
from shared.process.tracing import TRACEPARENT_HEADER, publishing

_TYPES: Final = {kind: f"watch.{kind.value}" for kind in Kind}
_HEADERS: Final[Headers] = {"x-schema-version": SCHEMA_VERSION}


@contextmanager
def messages_of(events: Sequence[OutboxEvent], now: datetime) -> Iterator[list[Message]]:
    """Yield the messages, which the block publishes; each continues its trace."""
    with publishing([event.traceparent for event in events]) as traceparents:
        traced = zip(events, traceparents, strict=True)
        yield [_message(event, now, traceparent) for event, traceparent in traced]


def _message(event: OutboxEvent, now: datetime, traceparent: str | None) -> Message:
    return Message(
        message_id=str(event.event_id),
        routing_key=event.kind.value,
        body=event.body.encode(),
        type=_TYPES[event.kind],
        timestamp=now,
        headers=_headers(event, traceparent),
    )


def _headers(event: OutboxEvent, traceparent: str | None) -> Headers:
    headers = dict(_HEADERS)
    if (user_id := _user_of(event)) is not None:
        headers[USER_HEADER] = str(user_id)
    if traceparent is not None:
        headers[TRACEPARENT_HEADER] = traceparent
    return headers


def _user_of(event: OutboxEvent) -> int | None:
    """Return the user; the event of an erasure, which has no user id, names it in its body."""
    if event.user_id is not None:
        return event.user_id
    user_id: int | None = from_json(event.body).get("user_id")
    return user_id
