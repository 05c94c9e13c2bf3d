"""What can go wrong, as a caller sees it.

    ServiceError
    ├── NotFound      404   the thing asked for does not exist
    ├── Conflict      409   the request contradicts what is already stored
    ├── Invalid       422   the request is well-formed, and cannot be meant
    └── Unavailable   503   a part that is needed is away or overloaded: try again later
    CannotStart             the process ends, with one sentence that says what to do

Anything else is a bug: it is logged, answered with 500, and its text never reaches the caller.
"""

from typing import ClassVar


class ServiceError(Exception):
    """An expected outcome that is not a success; its text is shown to the caller."""

    status: ClassVar[int]
    title: ClassVar[str]


class NotFound(ServiceError):
    """The thing asked for does not exist."""

    status = 404
    title = "Not found"


class Conflict(ServiceError):
    """The request contradicts what is already stored."""

    status = 409
    title = "Conflict"


class Invalid(ServiceError):
    """The request is well-formed, and cannot be meant."""

    status = 422
    title = "Invalid request"


class Unavailable(ServiceError):
    """A part that is needed is away or overloaded."""

    status = 503
    title = "Temporarily unavailable"


class CannotStart(Exception):
    """The process cannot do its work and ends; the text is one sentence for its operator."""
