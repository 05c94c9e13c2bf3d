"""What can go wrong, as a caller sees it.

    ServiceError
    ├── Unauthenticated   401   nobody says who asks, or not credibly
    ├── Forbidden         403   who asks may not do this
    ├── NotFound          404   the thing asked for does not exist
    ├── Conflict          409   the request contradicts what is already stored
    ├── Invalid           422   the request is well-formed, and cannot be meant
    ├── TooManyRequests   429   who asks is faster than they may be
    └── Unavailable       503   a part that is needed is away or overloaded: try again later
    CannotStart                 the process ends, with one sentence that says what to do

Anything else is a bug: it is logged, answered with 500, and its text never reaches the caller.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

RETRY_AFTER: Final = 1  # seconds


class ServiceError(Exception):
    """An expected outcome that is not a success; its text is shown to the caller."""

    status: ClassVar[int]
    title: ClassVar[str]
    headers: Mapping[str, str] = {}


class Unauthenticated(ServiceError):
    """Nobody says who asks, or not credibly."""

    status = 401
    title = "Unauthorized"
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="upnext"'}


class Forbidden(ServiceError):
    """Who asks may not do this."""

    status = 403
    title = "Forbidden"


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


class TooManyRequests(ServiceError):
    """Who asks is faster than they may be."""

    status = 429
    title = "Too many requests"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"This is more than may be asked. Try again in {seconds} s.")
        self.headers = {"Retry-After": str(seconds)}


class Unavailable(ServiceError):
    """A part that is needed is away or overloaded."""

    status = 503
    title = "Temporarily unavailable"
    headers: Mapping[str, str] = {"Retry-After": str(RETRY_AFTER)}


class CannotStart(Exception):
    """The process cannot do its work and ends; the text is one sentence for its operator."""
