"""What a caller may ask for, and what comes of it."""

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
    owner_id: int | None = None  # to anybody but this user there is no such watch
    traceparent: str | None = field(default_factory=current_traceparent, compare=False)


@dataclass(frozen=True, slots=True)
class Delete:
    """Undo a watch."""

    watch_id: UUID
    owner_id: int | None = None  # to anybody but this user there is no such watch
    traceparent: str | None = field(default_factory=current_traceparent, compare=False)


Command = Create | Report | Delete


class Done(NamedTuple):
    """What came of a command: the watch afterwards, and whether it was created, moved or undone."""

    watch: Watch
    changed: bool


Outcome = Done | ServiceError
