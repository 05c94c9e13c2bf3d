"""Ids and other natural numbers in messages and requests."""

from typing import Annotated, Final, NewType, TypeVar

from pydantic import BeforeValidator, Field

MAX_INTEGER: Final = 2**63 - 1  # what a `bigint` column holds

T = TypeVar("T")

UserId = NewType("UserId", int)

LessonId = NewType("LessonId", int)


def integral_to_int(value: object) -> object:
    """Return 42 for 42.0, which are equal in JSON; strict mode refuses other non-integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Natural = Annotated[
    # The bound is 2^63, exclusive, not 2^63 - 1: OpenAPI has bounds as floating-point numbers.
    T, Field(strict=True, ge=0, lt=MAX_INTEGER + 1), BeforeValidator(integral_to_int)
]  # an integer that a `bigint` column holds
