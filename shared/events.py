"""Events: the contract of the messages between the services.

A message on the exchange `watch` is one JSON object: the state of a watch after a change, or the
erasure of a user. The routing key is the kind of the change. A message on the exchange `erasure`
confirms that the other service has erased the user too. Fields are only ever added, and only as
optional ones, so that messages in flight stay readable; consumers ignore unknown fields.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from shared.ids import LessonId, Natural, UserId

SCHEMA_VERSION: Final = 1  # of the header `x-schema-version`


def _reject_number(value: object) -> object:
    """Refuse a number: it could be seconds or milliseconds, of any epoch."""
    if isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise ValueError("should be a time like 2026-11-23T10:00:00Z")


def _in_utc(time: datetime) -> datetime:
    """Return the same instant in UTC; it may be beyond the years 1 and 9999 there."""
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("should be between the years 1 and 9999, in UTC") from None


Position = Natural[int]  # whole seconds from the start of the lesson
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_reject_number),
    AfterValidator(_in_utc),
]


class Kind(StrEnum):
    """The kind of a change to a watch or a user; also the routing key of the message."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    ERASED = "erased"  # all that is known of a user


def _body_config(**example: str | int) -> ConfigDict:
    """Return the configuration of a message body: unknown fields are ignored; with an example."""
    return ConfigDict(frozen=True, extra="ignore", json_schema_extra={"examples": [dict(example)]})


class WatchEvent(BaseModel):
    """A watch as it was stored, durably, when the event happened.

    Only the first three fields are required. Without the others, every time of the watch is the
    time of arrival.
    """

    model_config = _body_config(
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
    """A user was erased: every receiver deletes what was recorded of the user until `erased_at`.

    The time is the tombstone. Events recorded after it count, in any order of arrival.
    """

    model_config = _body_config(
        user_id=42,
        erasure_id="019ab2c4-7a10-7cc2-8d4e-0d6a5f1f2b3c",
        erased_at="2026-11-23T10:00:00Z",
    )

    user_id: Natural[UserId]
    erasure_id: UUID = Field(description="Also the id of the message.")
    erased_at: Instant


ERASURE_DONE: Final = "done"  # the routing key of the message that follows


class ErasureDone(BaseModel):
    """The recommendation service has deleted everything that the erasure covers."""

    model_config = _body_config(
        erasure_id="019ab2c4-7a10-7cc2-8d4e-0d6a5f1f2b3c",
        user_id=42,
        done_at="2026-11-23T10:00:00.2Z",
    )

    erasure_id: UUID
    user_id: Natural[UserId]
    done_at: Instant
