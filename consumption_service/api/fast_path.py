"""Direct: a good `POST /watches` goes straight from its connection into the group commit.

Only what is as plain as can be is read here. Everything else takes the way through the application,
to `api.record_watch`. What both read, they read alike, and answer alike.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated, Final, NotRequired, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from starlette.types import Scope
from typing_extensions import TypedDict

from consumption_service.api.dependencies import AppState
from consumption_service.api.schemas import written
from consumption_service.record.commands import CommandResult, Create
from shared.access.caller import Caller
from shared.errors import Invalid, ServiceError
from shared.events import Instant
from shared.http.fast_path import Answer
from shared.ids import MAX_INTEGER, LessonId, UserId

T = TypeVar("T")

JSON: Final = [b"application/json"]
MAX_KEY_LENGTH: Final = 255
HEADERS: Final = b"content-type: application/json\r\nlocation: /watches/%b\r\n"

Plain = Annotated[T, Field(strict=True, ge=0, lt=MAX_INTEGER + 1)]


@with_config(ConfigDict(extra="forbid"))
class PlainWatch(TypedDict):
    """What `api.NewWatch` is, but for the less usual ways to write a number."""

    user_id: Plain[UserId]
    lesson_id: Plain[LessonId]
    position: Plain[int]
    duration: NotRequired[Plain[int] | None]
    occurred_at: NotRequired[Instant | None]


_READING: Final = TypeAdapter(PlainWatch).validator


class Recording:
    """Takes `POST /watches`."""

    line = re.compile(rb"POST /watches")
    path = "/watches"

    def __init__(self, state: AppState, max_body_bytes: int) -> None:
        self._state = state
        self._max_body_bytes = max_body_bytes

    def parse(self, scope: Scope, body: bytes) -> Create | None:
        """Return the watch to record, or None when it is not as plain as it could be."""
        if len(body) > self._max_body_bytes:
            return None
        try:
            watch, key = _watch_in(body), _key_in(scope["headers"])
            occurred_at = self._state.not_in_the_future(watch.get("occurred_at"))
        except (ValueError, Invalid):
            return None
        return Create(
            watch["user_id"],
            watch["lesson_id"],
            watch["position"],
            watch.get("duration"),
            occurred_at,
            key,
        )

    def start(self, asked: Create, caller: Caller) -> asyncio.Future[CommandResult]:
        """Let the watch be committed."""
        caller.act_for(asked.user_id)
        return self._state.group_commit.submit_nowait(asked)

    def respond(self, outcome: CommandResult) -> Answer:
        """Return the watch as it is stored."""
        if isinstance(outcome, ServiceError):
            raise outcome
        watch = outcome.watch
        location = HEADERS % str(watch.id).encode()
        return Answer(201 if outcome.changed else 200, location, written(watch))


def _watch_in(body: bytes) -> PlainWatch:
    """Return what the body says, or raise `ValueError`.

    Each text of JSON without escapes has two quotes. So the quotes tell whether a name came twice,
    of which the reader takes the last.
    """
    watch: PlainWatch = _READING.validate_json(body)
    texts = len(watch) + (watch.get("occurred_at") is not None)
    if b"\\" in body or body.count(b'"') != 2 * texts:
        raise ValueError
    return watch


def _key_in(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """Return the Idempotency-Key, or raise `ValueError` where the headers are not as usual."""
    types = [value for name, value in headers if name == b"content-type"]
    keys = [value for name, value in headers if name == b"idempotency-key"]
    if types != JSON or len(keys) > 1:
        raise ValueError
    if not keys:
        return None
    if not 1 <= len(keys[0]) <= MAX_KEY_LENGTH:
        raise ValueError
    return keys[0].decode("latin-1")
