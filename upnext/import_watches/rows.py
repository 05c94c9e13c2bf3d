"""Import rows: the cells of a line become a request body and its idempotency key.

The body is canonical: the same watch gives the same bytes, however its line writes the numbers and
the time. So the same watch in two files gives the same key.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Final

from shared.errors import CannotStart

# The usual column names, in lower case without punctuation; the preferred one first.
COLUMN_ALIASES: Final = {
    "user": ("userid", "user", "learnerid", "learner", "visitorid", "studentid", "memberid"),
    "lesson": ("lessonid", "lesson", "itemid", "item", "videoid", "video", "movieid", "contentid"),
    "time": ("occurredat", "timestamp", "time", "watchedat", "datetime", "date", "createdat", "ts"),
    "position": ("position", "positionseconds", "positions"),
    "duration": ("duration", "durationseconds", "durations", "length"),
}
OPTIONAL_COLUMNS: Final = {"position", "duration"}

UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MIN_MILLISECONDS: Final = 100_000_000_000  # as seconds this is the year 5138, as milliseconds 1973
NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
PUNCTUATION: Final = re.compile(r"[\W_]+")


class UnreadableRow(Exception):
    """A line that is no watch; the text says why."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Column mapping: the index of each value in a line."""

    user: int
    lesson: int
    time: int
    position: int | None = None
    duration: int | None = None


def find_columns(header: Sequence[str], chosen: Mapping[str, str | None]) -> Columns:
    """Return the column mapping; `chosen` names win over the usual ones.

    Raises `CannotStart` when a column is missing.
    """
    names = [name.strip() for name in header]
    found = {
        value: _by_name(names, name) if (name := chosen.get(value)) else _by_alias(names, value)
        for value in COLUMN_ALIASES
    }
    for value, index in found.items():
        if index is None and value not in OPTIONAL_COLUMNS:
            raise CannotStart(
                f"No column is the {value}, of: {', '.join(names)}. Name it with --{value}."
            )
    return Columns(**found)  # type: ignore[arg-type]  # what is not optional was found


def _by_name(names: Sequence[str], name: str) -> int:
    if name not in names:
        raise CannotStart(f"There is no column {name!r}, only: {', '.join(names)}.")
    return names.index(name)


def _by_alias(names: Sequence[str], value: str) -> int | None:
    plain = [PUNCTUATION.sub("", name).lower() for name in names]
    return next((plain.index(alias) for alias in COLUMN_ALIASES[value] if alias in plain), None)


def watch_json(cells: Sequence[str], columns: Columns) -> bytes:
    """Return the body that records this line, or raise `UnreadableRow`.

    Whether the numbers and the time are allowed is left to the service.
    """
    width = max(columns.user, columns.lesson, columns.time, columns.position or 0)
    if len(cells) <= max(width, columns.duration or 0):
        raise UnreadableRow(f"the line has {len(cells)} columns only")
    user = _integer(cells[columns.user], "user")
    lesson = _integer(cells[columns.lesson], "lesson")
    position = _optional_integer(cells, columns.position, "position")
    duration = _optional_integer(cells, columns.duration, "duration")
    time = parse_time(cells[columns.time]).isoformat()
    last = "" if duration is None else f',"duration":{duration}'
    return (
        f'{{"user_id":{user},"lesson_id":{lesson},"position":{position or 0},'
        f'"occurred_at":"{time}"{last}}}'
    ).encode()


def parse_time(text: str) -> datetime:
    """Read RFC 3339, or seconds or milliseconds since 1970, as UTC; or raise `UnreadableRow`."""
    text = text.strip()
    try:
        if NUMBER.fullmatch(text):
            return _since_1970(Decimal(text))
        time = datetime.fromisoformat(text)
        if time.tzinfo:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UnreadableRow(f"{text!r} is not a time") from None
    raise UnreadableRow(f"the time {text!r} does not say its offset from UTC, as in {text}Z")


def _since_1970(number: Decimal) -> datetime:
    # Not as a float: that has no room for the microseconds of every year.
    unit = 1_000 if abs(number) >= MIN_MILLISECONDS else 1_000_000
    return UNIX_EPOCH + timedelta(microseconds=int(number * unit))


def _optional_integer(cells: Sequence[str], index: int | None, what: str) -> int | None:
    if index is None or not cells[index].strip():
        return None
    return _integer(cells[index], what)


def _integer(text: str, what: str) -> int:
    try:
        # Tools that know missing values write whole numbers as 314.0.
        return int(text.strip().removesuffix(".0"))
    except ValueError:
        raise UnreadableRow(f"the {what} {text!r} is not a whole number") from None


def watch_digest(body: bytes) -> bytes:
    """Return the digest that identifies this watch."""
    return blake2b(body, digest_size=16).digest()


def idempotency_key(digest: bytes, occurrence: int) -> bytes:
    """Return the key of the n-th occurrence of this watch in a file.

    It does not depend on the file, so that overlapping files record each watch once.
    """
    return b"import-%b-%d" % (digest.hex().encode(), occurrence)
