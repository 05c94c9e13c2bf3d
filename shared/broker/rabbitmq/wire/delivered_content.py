"""Parse a delivery from its frames, as AMQP 0-9-1 defines them in 4.2.6 and 1.8.3.13.

pamqp parses the same property by property into objects of its own, most of which nobody needs here.
`tests/unit/shared/broker/test_delivered_content.py` compares the two.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from struct import Struct
from types import MappingProxyType
from typing import Any, Final

from pamqp.decode import field_table

from shared.broker.interface import Delivery
from shared.broker.topology import USER_HEADER

DELIVER: Final = b"\x00\x3c\x00\x3c"  # class 60, method 60: how the method frame begins
LATEST: Final = 2**32  # a later timestamp, in seconds, is one in milliseconds
MAX_CACHED: Final = 256  # bytes of headers that are cached; the few producers repeat theirs

_TAG: Final = Struct(">QB")  # the delivery tag, and whether it was delivered before
_SIZE: Final = Struct(">4xQH")  # of the body, and the flags of the properties
_WORD: Final = Struct(">Q")
_LENGTH: Final = Struct(">I")
# The header of the user up to the length of its text; pamqp writes it last.
_USER: Final = bytes((len(USER_HEADER),)) + USER_HEADER.encode() + b"S"
_NO_HEADERS: Final[Mapping[str, Any]] = MappingProxyType({})
# An unknown version, so that this message is dead-lettered and its neighbours are not.
_UNREADABLE: Final[Mapping[str, Any]] = MappingProxyType(
    {"x-schema-version": "unknown: the headers cannot be read"}
)


def body_size(header: bytes) -> int:
    """Return the size of the body that follows a content header, in bytes."""
    size: int = _SIZE.unpack_from(header)[0]
    return size


def delivery(method: bytes, header: bytes, body: bytes) -> Delivery:
    """Return the delivery of these frames."""
    at = 5 + method[4]
    consumer = method[5:at]
    tag, redelivered = _TAG.unpack_from(method, at)
    at += _TAG.size
    at += 1 + method[at]  # past the exchange
    found = _properties(header)
    headers = found.get("headers", _NO_HEADERS)
    count = headers.get("x-delivery-count", redelivered)
    return Delivery(
        tag,
        found.get("message_id"),
        _text(method, at),
        body,
        found.get("type"),
        found.get("timestamp"),
        headers,
        bool(redelivered),
        count if isinstance(count, int) else redelivered,
        consumer,
    )


def _properties(header: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    at = _SIZE.size
    for name, read, length in _layout(_SIZE.unpack_from(header)[1]):
        if read:
            found[name] = read(header, at)
        at += length(header, at)
    return found


def _text(data: bytes, at: int) -> str:
    # Invalid UTF-8 is escaped, not replaced: two ids that differ must not become one.
    return data[at + 1 : at + 1 + data[at]].decode(errors="backslashreplace")


def _text_length(data: bytes, at: int) -> int:
    return 1 + data[at]


def _time(data: bytes, at: int) -> datetime | None:
    seconds = _WORD.unpack_from(data, at)[0]
    try:
        return datetime.fromtimestamp(seconds / 1000 if seconds >= LATEST else seconds, UTC)
    except (ValueError, OverflowError):
        return None


def _table(data: bytes, at: int) -> Mapping[str, Any]:
    table = data[at : at + _table_length(data, at)]
    if len(table) > MAX_CACHED:
        return _headers(table)
    user = table.rfind(_USER)
    text = user + len(_USER) + _LENGTH.size
    if user < 0 or text + int.from_bytes(table[text - _LENGTH.size : text]) != len(table):
        return _cached_headers(table)
    # A producer's other headers are the same in each message.
    others = _cached_headers(_LENGTH.pack(user - _LENGTH.size) + table[_LENGTH.size : user])
    return {**others, USER_HEADER: table[text:].decode(errors="backslashreplace")}


def _headers(table: bytes) -> Mapping[str, Any]:
    try:
        return MappingProxyType(field_table(table)[1])
    except Exception:  # noqa: BLE001 - of the many that pamqp raises none may end the connection
        return _UNREADABLE


_cached_headers: Final = lru_cache(maxsize=256)(_headers)


def _table_length(data: bytes, at: int) -> int:
    length: int = _LENGTH.unpack_from(data, at)[0]
    return _LENGTH.size + length


def _one_byte(_data: bytes, _at: int) -> int:
    return 1


def _eight_bytes(_data: bytes, _at: int) -> int:
    return 8


Length = Callable[[bytes, int], int]
Property = tuple[str, Callable[[bytes, int], Any] | None, Length]

# Name, its parser where it is needed, and its length; in the order of the flags, highest bit first.
_PROPERTIES: Final[tuple[Property, ...]] = (
    ("content_type", None, _text_length),
    ("content_encoding", None, _text_length),
    ("headers", _table, _table_length),
    ("delivery_mode", None, _one_byte),
    ("priority", None, _one_byte),
    ("correlation_id", None, _text_length),
    ("reply_to", None, _text_length),
    ("expiration", None, _text_length),
    ("message_id", _text, _text_length),
    ("timestamp", _time, _eight_bytes),
    ("type", _text, _text_length),
    # The rest is not needed.
)


@lru_cache(maxsize=256)
def _layout(flags: int) -> tuple[Property, ...]:
    """Return the properties that are present, in their order."""
    return tuple(one for bit, one in enumerate(_PROPERTIES) if flags & 1 << 15 - bit)
