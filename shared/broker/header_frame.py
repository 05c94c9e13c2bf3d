"""The frame with the properties of a message, from a template.

The messages of a publisher differ in size, id and time only. All the rest is written once, by
pamqp, and copied.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from pamqp.commands import Basic
from pamqp.frame import marshal
from pamqp.header import ContentHeader

from shared.broker.interface import Message

PERSISTENT: Final = 2
LONG: Final = struct.Struct(">Q")
SIZE: Final = slice(11, 11 + LONG.size)  # where in the frame the size of the body stands
ANY_TIME: Final = datetime(2026, 11, 23, tzinfo=UTC)

_Rest = tuple[str, str, tuple[tuple[str, str | int], ...]]


@dataclass(frozen=True, slots=True)
class _Template:
    """What stands around the size of the body, the id, and the time if there is one."""

    start: bytes
    middle: bytes
    end: bytes


def header_frame(message: Message, channel_number: int) -> bytes:
    """Return the frame that says how long the body is, and what else is known of the message."""
    message_id, at = message.message_id.encode(), message.timestamp
    template = _template(
        channel_number,
        len(message_id),
        at is not None,
        (message.content_type, message.type, tuple(message.headers.items())),
    )
    size = LONG.pack(len(message.body))
    time = LONG.pack(int(at.timestamp())) if at else b""
    return b"".join((template.start, size, template.middle, message_id, time, template.end))


@lru_cache(maxsize=256)
def _template(channel_number: int, id_length: int, is_timed: bool, rest: _Rest) -> _Template:  # noqa: FBT001
    content_type, kind, headers = rest
    properties = Basic.Properties(
        content_type=content_type,
        headers=dict(headers) or None,
        delivery_mode=PERSISTENT,
        message_id=" " * id_length,
        timestamp=ANY_TIME if is_timed else None,
        message_type=kind,
    )
    frame = marshal(ContentHeader(body_size=0, properties=properties), channel_number)
    # From the end: the end of the frame, the type after its length, the time, the id.
    end = len(frame) - 1 - (1 + len(kind.encode()) if kind else 0)
    variable = id_length + (LONG.size if is_timed else 0)
    return _Template(frame[: SIZE.start], frame[SIZE.stop : end - variable], frame[end:])
