"""Examples: valid things of which a test names only what it is about."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from recommendation_service.event import Event
from shared.events import Kind
from shared.ids import LessonId, UserId
from shared.uuid7 import new_id

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def an_event(  # noqa: PLR0913 - each is optional
    user: int = 42,
    lesson: int = 100,
    *,
    kind: Kind = Kind.CREATED,
    watch_id: UUID | None = None,
    event_id: UUID | None = None,
    position: int = 314,
    minutes: float = 0,
    reported: float | None = None,
) -> Event:
    """Return an event of a watch that began some minutes after noon."""
    event_id = event_id or new_id()
    occurred_at = NOON + timedelta(minutes=minutes)
    reported_at = occurred_at if reported is None else NOON + timedelta(minutes=reported)
    return Event(
        event_id,
        kind,
        watch_id or event_id,
        UserId(user),
        LessonId(lesson),
        position,
        None,
        occurred_at,
        max(occurred_at, reported_at),
        recorded_at=max(occurred_at, reported_at),
    )
