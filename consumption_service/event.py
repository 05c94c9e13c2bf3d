"""A watch as it is stored, and the event that reports its change."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from pydantic_core import to_json

from consumption_service.segments import Segments
from shared.events import Kind, Position
from shared.ids import LessonId, UserId


class Watch(NamedTuple):
    """One watch as it is stored: a row of `watches`."""

    id: UUID
    user_id: UserId
    lesson_id: LessonId
    position: Position
    duration: Position | None
    occurred_at: datetime
    reported_at: datetime
    recorded_at: datetime
    furthest: Position
    segments: Segments | None = None
    unsegmented: Position | None = None


class OutboxEvent(NamedTuple):
    """An event that the broker has not confirmed: a row of `outbox`.

    The event of a created watch has the id of the watch.
    """

    event_id: UUID
    kind: Kind
    body: str
    user_id: UserId | None = None  # None: it is about no watch
    traceparent: str | None = None


def event_of(
    event_id: UUID, kind: Kind, watch: Watch, traceparent: str | None = None
) -> OutboxEvent:
    """Return the event, given the watch after the change.

    Its body has the fields of `WatchEvent`. It is not built from that model, which would
    validate valid data again on this hot path.
    """
    state: dict[str, object] = {
        "user_id": watch.user_id,
        "lesson_id": watch.lesson_id,
        "position": watch.position,
        "watch_id": watch.id,
        "furthest": watch.furthest,
        "occurred_at": watch.occurred_at,
        "reported_at": watch.reported_at,
        "recorded_at": watch.recorded_at,
    }
    if watch.duration is not None:
        state["duration"] = watch.duration
    return OutboxEvent(event_id, kind, to_json(state).decode(), watch.user_id, traceparent)
