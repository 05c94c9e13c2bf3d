"""Schemas: request bodies and answers of the watch routes, and types of parameters."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import to_json

from consumption_service.api.dependencies import AppState
from consumption_service.event import Watch
from consumption_service.record.commands import Create
from consumption_service.segments import Segments
from shared.events import Instant, Position
from shared.ids import MAX_INTEGER, LessonId, Natural, UserId

PathId = Annotated[int, Path(ge=0, lt=MAX_INTEGER + 1)]
QueryId = Annotated[int | None, Query(ge=0, lt=MAX_INTEGER + 1)]


class Body(BaseModel):
    """A request body: values of the right type, and no others than these."""

    model_config = ConfigDict(extra="forbid")


def _check_order(segment: tuple[int, int]) -> tuple[int, int]:
    start, end = segment
    if end < start:
        raise ValueError("should not end before it begins")
    return segment


Segment = Annotated[tuple[Position, Position], AfterValidator(_check_order)]

SeenSegments = Annotated[
    list[Segment] | None,
    Field(
        max_length=1000,
        description="What was watched, as `[from, to]` in seconds; adds to what was reported "
        "before. A player that reports it does so each time, at first with `[]`.",
        examples=[[[0, 120], [300, 314]]],
    ),
]


class NewWatch(Body):
    """A watch to record."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": 42, "lesson_id": 100, "position": 314}]}
    )

    user_id: Natural[UserId]
    lesson_id: Natural[LessonId]
    position: Position = Field(description="Whole seconds from the start of the lesson.")
    duration: Position | None = Field(default=None, description="The lesson's length in seconds.")
    occurred_at: Instant | None = Field(default=None, description="Default: now.")
    segments: SeenSegments = None


class Heartbeat(Body):
    """What a player reports while a watch goes on."""

    position: Position
    occurred_at: Instant | None = Field(default=None, description="Default: now.")
    segments: SeenSegments = None


class WatchAnswer(BaseModel):
    """A watch as it is stored."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    user_id: int
    lesson_id: int
    position: int
    duration: int | None
    occurred_at: datetime
    reported_at: datetime = Field(description="When the position was true.")
    recorded_at: datetime = Field(description="When this state was stored.")
    furthest: int = Field(description="The largest position that was ever reported.")
    segments: list[list[int]] | None = Field(
        description="What was watched, as `[from, to]`, sorted and disjoint; null: not reported."
    )


class ReportAnswer(WatchAnswer):
    """A watch after a report. `stale`: a newer position was known already, and stays.

    Even then `furthest` and `segments` take up what the report adds.
    """

    outcome: Literal["applied", "stale"]


class WatchList(BaseModel):
    """Watches, the newest first. With `next_cursor`, there are more."""

    items: list[WatchAnswer]
    next_cursor: UUID | None


def to_command(body: NewWatch, key: str | None, app: AppState) -> Create:
    """Return the command that records the watch, or raise `Invalid`."""
    occurred_at, segments = app.not_in_the_future(body.occurred_at), to_segments(body)
    return Create(
        body.user_id, body.lesson_id, body.position, body.duration, occurred_at, key, segments
    )


def to_segments(body: NewWatch | Heartbeat) -> Segments | None:
    """Return the segments of the body, as they are stored."""
    return None if body.segments is None else [list(segment) for segment in body.segments]


def watch_to_json(watch: Watch) -> bytes:
    """Return the JSON of a `WatchAnswer` without building one, for the hot path."""
    return to_json(dict(zip(_FIELDS, watch, strict=False)))


_FIELDS: Final = tuple(WatchAnswer.model_fields)  # the first fields of a `Watch`, in its order
