"""The content header frame of a message, from a template.

The messages of a publisher differ in size, user, id and time only. The rest is marshalled once, by
pamqp, and copied. It relies on the layout of pamqp 4.0: the size of the body starts at byte 11.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from pamqp.commands import Basic
from pamqp.common import FieldTable
from pamqp.frame import marshal
from pamqp.header import ContentHeader

from shared.broker.interface import Message
from shared.broker.rabbitmq.wire.fallback import PERSISTENT
from shared.broker.topology import USER_HEADER

LONG: Final = struct.Struct(">Q")
SIZE: Final = slice(11, 11 + LONG.size)  # the position of the size of the body in the frame
ANY_TIME: Final = datetime(2026, 11, 23, tzinfo=UTC)


class _Shape(NamedTuple):
    """The properties that messages of one template share."""

    channel_number: int
    id_length: int
    user_length: int | None  # None: the message has no user
    is_timed: bool
    content_type: str
    type: str
    headers: tuple[tuple[str, str | int], ...]  # without the user


@dataclass(frozen=True, slots=True)
class _Template:
    """The bytes around the size of the body, the user, the id, and the time if there is one."""

    start: bytes
    before_user: bytes
    before_id: bytes
    end: bytes


def header_frame(message: Message, channel_number: int) -> bytes:
    """Return the frame with the size of the body and the properties of the message."""
    message_id, at, headers = message.message_id.encode(), message.timestamp, message.headers
    user = headers.get(USER_HEADER)
    user_bytes = user.encode() if isinstance(user, str) else None
    shape = _Shape(
        channel_number,
        len(message_id),
        None if user_bytes is None else len(user_bytes),
        at is not None,
        message.content_type,
        message.type,
        tuple(headers.items() if user_bytes is None else _without_user(message)),
    )
    template = _template(shape)
    size = LONG.pack(len(message.body))
    time = LONG.pack(int(at.timestamp())) if at else b""
    return b"".join(
        (
            template.start,
            size,
            template.before_user,
            user_bytes or b"",
            template.before_id,
            message_id,
            time,
            template.end,
        )
    )


def _without_user(message: Message) -> list[tuple[str, str | int]]:
    return [one for one in message.headers.items() if one[0] != USER_HEADER]


@lru_cache(maxsize=256)
def _template(shape: _Shape) -> _Template:
    one, other = (_frame(shape, letter) for letter in "ab")
    differing = (at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
    user = next(differing, SIZE.stop)
    # Backwards: the end of the frame, the type with its length, the time, the id.
    end = len(one) - 1 - (1 + len(shape.type.encode()) if shape.type else 0)
    variable = shape.id_length + (LONG.size if shape.is_timed else 0)
    return _Template(
        one[: SIZE.start],
        one[SIZE.stop : user],
        one[user + (shape.user_length or 0) : end - variable],
        one[end:],
    )


def _frame(shape: _Shape, letter: str) -> bytes:
    """Return the frame of a message whose user is this letter, repeated to the length."""
    headers: FieldTable = dict(shape.headers)
    if shape.user_length is not None:
        headers[USER_HEADER] = letter * shape.user_length
    properties = Basic.Properties(
        content_type=shape.content_type,
        headers=headers or None,
        delivery_mode=PERSISTENT,
        message_id=" " * shape.id_length,
        timestamp=ANY_TIME if shape.is_timed else None,
        message_type=shape.type,
    )
    return marshal(ContentHeader(body_size=0, properties=properties), shape.channel_number)
