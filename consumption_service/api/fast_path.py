"""Fast path: a plain `POST /watches` goes straight from its connection into the group commit.

All other requests go through the application, to `watches.record_watch`. A request that
both can parse gets the same response on both paths.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated, Final, NotRequired, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from starlette.types import Scope
from typing_extensions import TypedDict, override

from consumption_service.api.dependencies import AppState
from consumption_service.api.schemas import watch_to_json
from consumption_service.record.commands import CommandResult, Create
from shared.access.caller import Caller
from shared.errors import Invalid, ServiceError
from shared.events import Instant
from shared.http.fast_path import Answer, FastPathHandler
from shared.ids import MAX_INTEGER, LessonId, UserId

T = TypeVar("T")

JSON: Final = [b"application/json"]
MAX_KEY_LENGTH: Final = 255
HEADERS: Final = b"content-type: application/json\r\nlocation: /watches/%b\r\n"

Plain = Annotated[T, Field(strict=True, ge=0, lt=MAX_INTEGER + 1)]


@with_config(ConfigDict(extra="forbid"))
class PlainWatch(TypedDict):
    """A `NewWatch`, without segments, and with numbers that are written the usual way."""

    user_id: Plain[UserId]
    lesson_id: Plain[LessonId]
    position: Plain[int]
    duration: NotRequired[Plain[int] | None]
    occurred_at: NotRequired[Instant | None]


_VALIDATOR: Final = TypeAdapter(PlainWatch).validator


class RecordWatchHandler(FastPathHandler[Create, CommandResult]):
    """Handles `POST /watches`."""

    line = re.compile(rb"POST /watches")
    path = "/watches"

    def __init__(self, state: AppState, max_body_bytes: int) -> None:
        self._state = state
        self._max_body_bytes = max_body_bytes

    @override
    def parse(self, scope: Scope, body: bytes) -> Create | None:
        """Return the watch to record, or None if the request is not plain."""
        if len(body) > self._max_body_bytes:
            return None
        try:
            watch, key = _parse_watch(body), _parse_key(scope["headers"])
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

    @override
    def start(self, asked: Create, caller: Caller) -> asyncio.Future[CommandResult]:
        """Queue the watch for its commit."""
        caller.act_for(asked.user_id)
        return self._state.group_commit.submit_nowait(asked)

    @override
    def respond(self, outcome: CommandResult) -> Answer:
        """Return the answer with the stored watch."""
        if isinstance(outcome, ServiceError):
            raise outcome
        watch = outcome.watch
        location = HEADERS % str(watch.id).encode()
        return Answer(201 if outcome.changed else 200, location, watch_to_json(watch))


def _parse_watch(body: bytes) -> PlainWatch:
    """Parse the body, or raise `ValueError`.

    A name that occurs twice must be refused, but the validator keeps its last value. Without
    escapes every JSON string has two quotes, so the number of quotes shows a repeated name.
    """
    watch: PlainWatch = _VALIDATOR.validate_json(body)
    strings = len(watch) + (watch.get("occurred_at") is not None)
    if b"\\" in body or body.count(b'"') != 2 * strings:
        raise ValueError
    return watch


def _parse_key(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """Return the Idempotency-Key, or raise `ValueError` if the headers are not plain."""
    types = [value for name, value in headers if name == b"content-type"]
    keys = [value for name, value in headers if name == b"idempotency-key"]
    if types != JSON or len(keys) > 1:
        raise ValueError
    if not keys:
        return None
    if not 1 <= len(keys[0]) <= MAX_KEY_LENGTH:
        raise ValueError
    return keys[0].decode("latin-1")
