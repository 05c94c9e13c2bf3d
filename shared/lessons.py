"""Lessons: the contract of the catalogue, by which a course system describes its lessons.

A message on the exchange `lesson` is one JSON object: the state of a lesson after a change. The
routing key is the kind of the change: `created`, `updated`, `deleted`. Of two states the one with
the later `updated_at` is valid, in whichever order they arrive. The HTTP API takes the same fields.
"""

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator
from pydantic.config import JsonDict

from shared.events import Instant, Position
from shared.ids import LessonId, Natural

EXAMPLE: Final[JsonDict] = {
    "title": "Fractions",
    "duration": 600,
    "course_id": 7,
    "course_order": 3,
    "tags": ["mathematics", "beginners"],
    "available_from": "2026-09-01T00:00:00Z",
}
STORABLE: Final = r"^[^\u0000]*$"  # every character but NUL, which PostgreSQL cannot store

Tag = Annotated[str, Field(min_length=1, max_length=100, pattern=STORABLE)]


class Lesson(BaseModel):
    """What is known of a lesson. All of it is optional."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [EXAMPLE]}
    )

    title: Annotated[str, Field(max_length=1000, pattern=STORABLE)] | None = None
    duration: Position | None = Field(default=None, description="Seconds.")
    course_id: Natural[int] | None = None
    course_order: Natural[int] | None = Field(
        default=None, description="Its place in the course: lessons come in this order."
    )
    tags: list[Tag] = Field(default=[], max_length=100)
    hidden: StrictBool = Field(default=False, description="True: it is on no list.")
    available_from: Instant | None = Field(default=None, description="Before, it is on no list.")
    available_until: Instant | None = Field(default=None, description="From then on, neither.")

    @model_validator(mode="after")
    def _check_availability(self) -> Self:
        opens, closes = self.available_from, self.available_until
        if opens and closes and opens >= closes:
            raise ValueError("available_from should be before available_until")
        return self


class NamedLesson(Lesson):
    """A lesson with its id."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"lesson_id": 100, **EXAMPLE}]})

    lesson_id: Natural[LessonId]


class LessonEvent(NamedLesson):
    """A lesson after something happened to it. A deleted one needs no more than its id."""

    model_config = ConfigDict(extra="ignore")

    updated_at: Instant | None = Field(default=None, description="Default: when it arrives.")
