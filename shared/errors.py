"""Errors that callers of the API and operators see.

    ServiceError
    ├── Unauthenticated   401   the caller is unknown
    ├── Forbidden         403   the caller may not do this
    ├── NotFound          404   the resource does not exist
    ├── Conflict          409   the request contradicts stored data
    ├── Invalid           422   the request is well-formed, but not valid
    ├── TooManyRequests   429   the caller exceeds the rate limit
    └── Unavailable       503   a required part is away or overloaded: retry
    CannotStart                 the process ends with one sentence for its operator

Any other error is a bug: it is logged and answered with 500, without its text.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

RETRY_AFTER: Final = 1  # seconds


class ServiceError(Exception):
    """An expected failure; its text is shown to the caller."""

    status: ClassVar[int]
    title: ClassVar[str]
    headers: Mapping[str, str] = {}


class Unauthenticated(ServiceError):
    """The request has no credential, or an invalid one."""

    status = 401
    title = "Unauthorized"
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="upnext"'}


class Forbidden(ServiceError):
    """The caller may not do this."""

    status = 403
    title = "Forbidden"


class NotFound(ServiceError):
    """The resource does not exist."""

    status = 404
    title = "Not found"


class Conflict(ServiceError):
    """The request contradicts stored data."""

    status = 409
    title = "Conflict"


class Invalid(ServiceError):
    """The request is well-formed, but not valid."""

    status = 422
    title = "Invalid request"


class TooManyRequests(ServiceError):
    """The caller exceeds the rate limit."""

    status = 429
    title = "Too many requests"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"This is more than may be asked. Try again in {seconds} s.")
        self.headers = {"Retry-After": str(seconds)}


class Unavailable(ServiceError):
    """A required part is away or overloaded."""

    status = 503
    title = "Temporarily unavailable"
    headers: Mapping[str, str] = {"Retry-After": str(RETRY_AFTER)}


class CannotStart(Exception):
    """The process cannot start, and ends; the text is one sentence for its operator."""
