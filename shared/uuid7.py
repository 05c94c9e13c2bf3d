"""UUIDv7 (RFC 9562): ids that sort by their time of creation."""

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

MILLISECOND_BITS = 80  # the low bits of a UUIDv7, below its 48 bits of milliseconds


def new_id() -> UUID:
    """Return an id greater than all that this process created before."""
    return uuid7()


def first_id_at(time: datetime) -> UUID:
    """Return the smallest id of this time."""
    return UUID(int=int(time.timestamp() * 1000) << MILLISECOND_BITS)


def time_of(identifier: UUID) -> datetime:
    """Return the time of creation, to the millisecond."""
    return datetime.fromtimestamp((identifier.int >> MILLISECOND_BITS) / 1000, UTC)
