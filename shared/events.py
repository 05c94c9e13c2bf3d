"""The contract: what the services tell each other.

A message on the exchange `watch` is one JSON object: the state of a watch after something happened
to it, or that a user was erased. What happened is the routing key. When that user is erased
elsewhere too, a message on the exchange `erasure` says so. Fields are only ever added, and only as
optional ones, so that a message already in flight stays readable; a reader ignores what it does not
know.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from shared.ids import LessonId, Natural, UserId

SCHEMA_VERSION: Final = 1  # of the header `x-schema-version`


def _written_out(value: object) -> object:
    """Refuse a bare number, which could be seconds or milliseconds since whenever."""
    if isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise ValueError("should be a time like 2026-11-23T10:00:00Z")


def _in_utc(time: datetime) -> datetime:
    """Return the same instant in UTC, where the years 1 and 9999 may end earlier."""
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("should be between the years 1 and 9999, in UTC") from None


Position = Natural[int]  # whole seconds from the start of the lesson
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_written_out),
    AfterValidator(_in_utc),
]


class Kind(StrEnum):
    """What happened to a watch, or to a user; also the routing key of the message."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    ERASED = "erased"  # all that is known of a user


def _like(**example: str | int) -> ConfigDict:
    """Return what every body has: unknown fields are ignored; and an example of it."""
    return ConfigDict(frozen=True, extra="ignore", json_schema_extra={"examples": [dict(example)]})


class WatchEvent(BaseModel):
    """A watch as it was stored, durably, when the event happened.

    Only the first three fields are required: a message with nothing else is a watch that happened
    when it arrived.
    """

    model_config = _like(
        user_id=42,
        lesson_id=100,
        position=314,
        watch_id="019ab2c4-7a10-7cc2-8d4e-0d6a5f1f2b3c",
        duration=600,
        furthest=410,
        occurred_at="2026-11-23T10:00:00Z",
        reported_at="2026-11-23T10:05:14Z",
        recorded_at="2026-11-23T10:05:14.123Z",
    )

    user_id: Natural[UserId]
    lesson_id: Natural[LessonId]
    position: Position = Field(description="Whole seconds from the start of the lesson.")
    watch_id: UUID | None = Field(default=None, description="Default: the id of the message.")
    duration: Position | None = Field(default=None, description="The lesson's length in seconds.")
    furthest: Position | None = Field(
        default=None, description="The largest position that was ever reported."
    )
    occurred_at: Instant | None = Field(default=None, description="Default: when it arrived.")
    reported_at: Instant | None = Field(
        default=None, description="When the position was true. Default: when it occurred."
    )
    recorded_at: Instant | None = Field(
        default=None, description="When this state was stored. Default: when it arrived."
    )


class UserErased(BaseModel):
    """A user was erased: nothing recorded of them until then may be known any longer.

    The time is the tombstone. What was recorded after it counts, whatever the order of arrival.
    """

    model_config = _like(
        user_id=42,
        erasure_id="019ab2c4-7a10-7cc2-8d4e-0d6a5f1f2b3c",
        erased_at="2026-11-23T10:00:00Z",
    )

    user_id: Natural[UserId]
    erasure_id: UUID = Field(description="Also the id of the message.")
    erased_at: Instant


ERASURE_DONE: Final = "done"  # the routing key of the message that follows


class ErasureDone(BaseModel):
    """The recommendation service knows nothing any longer of what an erasure erased."""

    model_config = _like(
        erasure_id="019ab2c4-7a10-7cc2-8d4e-0d6a5f1f2b3c",
        user_id=42,
        done_at="2026-11-23T10:00:00.2Z",
    )

    erasure_id: UUID
    user_id: Natural[UserId]
    done_at: Instant
