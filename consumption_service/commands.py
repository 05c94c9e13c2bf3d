"""What a caller may ask for, and what comes of it."""

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from pydantic_core import to_json

from consumption_service.segments import Segments
from shared.errors import ServiceError
from shared.events import Kind, LessonId, Position, UserId
from shared.tracing import current_traceparent


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


@dataclass(frozen=True, slots=True)
class Create:
    """Record a watch. With a key, recording the same again is recording it once."""

    user_id: UserId
    lesson_id: LessonId
    position: Position
    duration: Position | None = None
    occurred_at: datetime | None = None
    key: str | None = None
    segments: Segments | None = None
    traceparent: str | None = field(default_factory=current_traceparent, compare=False)

    def digest(self) -> bytes:
        """Return what tells this content from other content under the same key."""
        content = (self.user_id, self.lesson_id, self.position, self.duration, self.occurred_at)
        said = content if self.segments is None else (*content, self.segments)
        return sha256(repr(said).encode()).digest()


@dataclass(frozen=True, slots=True)
class Report:
    """Move a watch to the position that its player reports, unless a later one is known.

    How far the watch came, and what of the lesson was seen, only ever grow.
    """

    watch_id: UUID
    position: Position
    occurred_at: datetime | None = None
    segments: Segments | None = None
    only_of: int | None = None  # to anybody but this user there is no such watch
    traceparent: str | None = field(default_factory=current_traceparent, compare=False)


@dataclass(frozen=True, slots=True)
class Delete:
    """Undo a watch."""

    watch_id: UUID
    only_of: int | None = None  # to anybody but this user there is no such watch
    traceparent: str | None = field(default_factory=current_traceparent, compare=False)


Command = Create | Report | Delete


class Done(NamedTuple):
    """What came of a command: the watch afterwards, and whether it was created, moved or undone."""

    watch: Watch
    changed: bool


Outcome = Done | ServiceError


class OutboxEvent(NamedTuple):
    """An event on its way to the broker: a row of `outbox`.

    A created event has the id of its watch.
    """

    event_id: UUID
    kind: Kind
    body: str
    user_id: UserId | None = None  # none: it tells of no watch
    traceparent: str | None = None


def event_of(
    event_id: UUID, kind: Kind, watch: Watch, traceparent: str | None = None
) -> OutboxEvent:
    """Return the event that tells what happened to the watch.

    It says what `WatchEvent` says; being written for each watch, it is not built from one, which
    would validate again what is known to be right.
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
