"""Identifiers that sort by the time they were made (UUIDv7, RFC 9562)."""

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

MILLISECOND_BITS = 80  # the low bits of a UUIDv7, below its 48 bits of milliseconds


def new_id() -> UUID:
    """Return an identifier greater than all that this process made before."""
    return uuid7()


def first_id_at(time: datetime) -> UUID:
    """Return the smallest identifier that can have been made at this time."""
    return UUID(int=int(time.timestamp() * 1000) << MILLISECOND_BITS)


def time_of(identifier: UUID) -> datetime:
    """Return when an identifier was made, to the millisecond."""
    return datetime.fromtimestamp((identifier.int >> MILLISECOND_BITS) / 1000, UTC)
