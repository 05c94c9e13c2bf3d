"""Ids and other whole numbers, as messages and requests carry them."""

from typing import Annotated, Final, NewType, TypeVar

from pydantic import BeforeValidator, Field

MAX_INTEGER: Final = 2**63 - 1  # what a `bigint` column holds

T = TypeVar("T")

UserId = NewType("UserId", int)

LessonId = NewType("LessonId", int)


def whole(value: object) -> object:
    """Take 42.0 for 42, as JSON does; strictness refuses everything else that is no integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Natural = Annotated[
    # A bound below 2^63, not up to 2^63 - 1: OpenAPI writes bounds as floating-point numbers.
    T, Field(strict=True, ge=0, lt=MAX_INTEGER + 1), BeforeValidator(whole)
]  # an integer that a `bigint` column holds, under whichever name
