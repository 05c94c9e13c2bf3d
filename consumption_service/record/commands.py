"""Commands: what a caller may do to a watch, and the result."""

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from consumption_service.event import Watch
from consumption_service.segments import Segments
from shared.errors import ServiceError
from shared.events import Position
from shared.ids import LessonId, UserId
from shared.process.tracing import current_traceparent


@dataclass(frozen=True, slots=True)
class Create:
    """Record a watch. With an idempotency key, the same content is recorded once."""

    user_id: UserId
    lesson_id: LessonId
    position: Position
    duration: Position | None = None
    occurred_at: datetime | None = None
    key: str | None = None
    segments: Segments | None = None
    traceparent: str | None = field(default_factory=current_traceparent, compare=False)

    def digest(self) -> bytes:
        """Return the digest that tells this content from other content under the same key."""
        fields = (self.user_id, self.lesson_id, self.position, self.duration, self.occurred_at)
        content = fields if self.segments is None else (*fields, self.segments)
        return sha256(repr(content).encode()).digest()


@dataclass(frozen=True, slots=True)
class Report:
    """Move a watch to the position that its player reports, unless a later one is stored.

    The furthest position and the segments only grow, also by a report that comes late.
    """

    watch_id: UUID
    position: Position
    occurred_at: datetime | None = None
    segments: Segments | None = None
    owner_id: int | None = None  # for any other user there is no such watch
    traceparent: str | None = field(default_factory=current_traceparent, compare=False)


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a watch."""

    watch_id: UUID
    owner_id: int | None = None  # for any other user there is no such watch
    traceparent: str | None = field(default_factory=current_traceparent, compare=False)


Command = Create | Report | Delete


class Success(NamedTuple):
    """A command was carried out: the watch, and whether it was created, moved or deleted."""

    watch: Watch
    changed: bool


CommandResult = Success | ServiceError
