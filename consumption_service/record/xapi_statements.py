"""xAPI statements: parse what they report of a watch, by the xAPI video profile.

| in a statement | becomes |
| --- | --- |
| `actor.account.name` | the user: a whole number |
| `object.id` | the lesson: the whole number at the end of the address |
| `session-id`, else `context.registration` | which watch of the lesson by the user |
| `time` (of `seeked`: `time-to`), else `progress` of `length` | the position |
| `length` | the duration |
| `played-segments` | the segments; none where `played` and `seeked` leave it out |
| `timestamp` | when the position was true |
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from consumption_service.segments import Segments, merge_segments
from shared.errors import Invalid
from shared.events import Instant, Position
from shared.ids import MAX_INTEGER, LessonId, UserId

VIDEO: Final = "https://w3id.org/xapi/video"
PLAYED: Final = f"{VIDEO}/verbs/played"
PAUSED: Final = f"{VIDEO}/verbs/paused"
SEEKED: Final = f"{VIDEO}/verbs/seeked"
COMPLETED: Final = "http://adlnet.gov/expapi/verbs/completed"
TERMINATED: Final = "http://adlnet.gov/expapi/verbs/terminated"
VERBS: Final = frozenset({PLAYED, PAUSED, SEEKED, COMPLETED, TERMINATED})

MAX_SESSION_LENGTH: Final = 255
MAX_SEGMENTS: Final = 1000
SECONDS: Final = r"([0-9]{1,15}(?:\.[0-9]{1,15})?)"
SEGMENT: Final = re.compile(rf"{SECONDS}\[\.\]{SECONDS}")
NUMBER: Final = re.compile(r"([0-9]{1,19})")
LAST_NUMBER: Final = re.compile(r".*[/:#=]([0-9]{1,19})/?")
SET_BY_STORES: Final = frozenset({"stored", "authority", "version"})  # no part of the content

SessionKey = tuple[UserId, LessonId, str]

EXAMPLE: Final[dict[str, Any]] = {
    "id": "6690e6c9-3ef0-4ed3-8b37-7f3964730bee",
    "actor": {"account": {"homePage": "https://example.com", "name": "42"}},
    "verb": {"id": PAUSED},
    "object": {"id": "https://example.com/lessons/100"},
    "result": {
        "extensions": {
            f"{VIDEO}/extensions/time": 314.2,
            f"{VIDEO}/extensions/played-segments": "0[.]120.5[,]300[.]314.2",
        }
    },
    "context": {
        "registration": "ec531277-b57b-4c15-8d91-d292c5b2b8f7",
        "extensions": {f"{VIDEO}/extensions/length": 600},
    },
    "timestamp": "2026-11-23T10:05:14Z",
}


class Part(BaseModel):
    """A part of a statement. Other fields are allowed, and only count in the digest."""

    model_config = ConfigDict(extra="allow")


class Account(Part):
    """An account of the learning system."""

    name: str = Field(description="The user's id.")


class Actor(Part):
    """Who watched."""

    account: Account | None = None


class Verb(Part):
    """What happened."""

    id: str = Field(description="Of the xAPI video profile; others change nothing.")


class Activity(Part):
    """The watched lesson."""

    id: str = Field(default="", description="An address that ends with the lesson's id.")


class Result(Part):
    """The result of the statement."""

    extensions: dict[str, Any] = {}


class Context(Part):
    """The context of the statement: its session."""

    registration: UUID | None = None
    extensions: dict[str, Any] = {}


class Statement(Part):
    """An xAPI statement."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: UUID | None = None
    actor: Actor
    verb: Verb
    object: Activity
    result: Result | None = None
    context: Context | None = None
    timestamp: Instant | None = None

    @property
    def is_about_watching(self) -> bool:
        """Whether its verb is one that is recorded."""
        return self.verb.id in VERBS

    def digest(self) -> bytes:
        """Return the digest that tells this content from other content under the same id."""
        content = self.model_dump(exclude_unset=True, exclude=set(SET_BY_STORES))
        return sha256(json.dumps(content, sort_keys=True, default=str).encode()).digest()

    def extension(self, name: str) -> Any:
        """Return the value of an extension of the video profile; None without one."""
        address = f"{VIDEO}/extensions/{name}"
        for part in (self.result, self.context):
            if part and address in part.extensions:
                return part.extensions[address]
        return None


@dataclass(frozen=True, slots=True)
class ParsedStatement:
    """What a statement reports of a watch."""

    user_id: UserId
    lesson_id: LessonId
    session: str
    position: Position
    duration: Position | None
    segments: Segments | None
    occurred_at: datetime | None

    @property
    def session_key(self) -> SessionKey:
        """Return the key of the session: statements with the same key concern one watch."""
        return self.user_id, self.lesson_id, self.session


def parse_statement(statement: Statement) -> ParsedStatement:
    """Parse a statement about watching, or raise `Invalid`."""
    duration = _seconds(statement, "length")
    return ParsedStatement(
        UserId(_user_id(statement)),
        LessonId(_lesson_id(statement)),
        _session(statement),
        _position(statement, duration),
        None if duration is None else round(duration),
        _segments(statement),
        statement.timestamp,
    )


def _user_id(statement: Statement) -> int:
    account = statement.actor.account
    match = NUMBER.fullmatch(account.name) if account else None
    if not match or int(match[1]) > MAX_INTEGER:
        raise Invalid("actor.account.name: should be the user's id, a whole number.")
    return int(match[1])


def _lesson_id(statement: Statement) -> int:
    match = LAST_NUMBER.fullmatch(statement.object.id)
    if not match or int(match[1]) > MAX_INTEGER:
        raise Invalid("object.id: should be an address that ends with the lesson's id.")
    return int(match[1])


def _session(statement: Statement) -> str:
    session = statement.extension("session-id")
    if session is None:
        registration = statement.context and statement.context.registration
        session = str(registration) if registration else ""
    if isinstance(session, str) and session.isprintable() and len(session) <= MAX_SESSION_LENGTH:
        return session
    raise Invalid(f"session-id: should be a text of {MAX_SESSION_LENGTH} characters at most.")


def _position(statement: Statement, duration: float | None) -> Position:
    name = "time-to" if statement.verb.id == SEEKED else "time"
    time = _seconds(statement, name)
    progress = 1.0 if statement.verb.id == COMPLETED else _seconds(statement, "progress")
    if time is None and duration is not None and progress is not None:
        time = min(progress, 1.0) * duration
    if time is None:
        raise Invalid(f"result.extensions: {VIDEO}/extensions/{name} is missing.")
    return int(time)


def _seconds(statement: Statement, name: str) -> float | None:
    value = statement.extension(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2**53:
        raise Invalid(f"{VIDEO}/extensions/{name}: should be a number of seconds.")
    return float(value)


def _segments(statement: Statement) -> Segments | None:
    text = statement.extension("played-segments")
    if text is None:
        return [] if statement.verb.id in (PLAYED, SEEKED) else None
    parts = str(text).split("[,]") if text else []
    matches = [SEGMENT.fullmatch(part.strip()) for part in parts]
    if not all(matches) or len(matches) > MAX_SEGMENTS:
        raise Invalid(f"{VIDEO}/extensions/played-segments: should be like 0[.]12.5[,]20[.]30.")
    return merge_segments((round(float(one[1])), round(float(one[2]))) for one in matches if one)
