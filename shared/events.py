"""The contract: what the consumption service announces about a watch.

A message on the exchange `watch` is one JSON object, the state of a watch after something happened
to it. What happened is the routing key. Fields are only ever added, and only as optional ones, so
that a message already in flight stays readable; a reader ignores what it does not know.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, NewType
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

MAX_INTEGER: Final = 2**63 - 1  # what a `bigint` column holds
SCHEMA_VERSION: Final = 1  # of the header `x-schema-version`

UserId = NewType("UserId", int)
LessonId = NewType("LessonId", int)

Bounded = Field(strict=True, ge=0, le=MAX_INTEGER)
Position = Annotated[int, Bounded]  # whole seconds from the start of the lesson
Instant = Annotated[AwareDatetime, AfterValidator(lambda time: time.astimezone(UTC))]


class Kind(StrEnum):
    """What happened to a watch; also the routing key of its message."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class WatchEvent(BaseModel):
    """A watch as it was stored, durably, when the event happened.

    Only the first three fields are required: a message with nothing else is a watch that happened
    when it arrived.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    user_id: Annotated[UserId, Bounded]
    lesson_id: Annotated[LessonId, Bounded]
    position: Position
    watch_id: UUID | None = None
    duration: Position | None = None
    occurred_at: Instant | None = None
    reported_at: Instant | None = None
    recorded_at: Instant | None = None


def utc_now() -> datetime:
    """Return the present, aware, in UTC."""
    return datetime.now(UTC)
