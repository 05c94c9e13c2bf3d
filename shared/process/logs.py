"""Logs: one line for each thing that happened, for people on a terminal, as JSON elsewhere.

A line names the request that it belongs to, and the event where there is one. It holds ids, and
nothing else about a person; passwords in addresses are blotted out, whoever wrote them.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

from typing_extensions import override

from shared.process.settings import LogFormat
from shared.process.tracing import current_trace_id

NOISY: Final = ("aio_pika", "aiormq", "alembic", "uvicorn.error", "httpx")
PASSWORD: Final = re.compile(r"(?<=://)([^\s:/@]*):[^\s/]*@")  # up to the last @: it may hold one

request_id: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)


def configure_logs(wanted: LogFormat) -> None:
    """Write the logs to stderr in this format; `auto` is JSON unless that is a terminal."""
    is_text = wanted == "text" or (wanted == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(TextFormatter() if is_text else JSONFormatter())
    handler.addFilter(_in_one_line)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _in_one_line(record: logging.LogRecord) -> bool:
    """Let a library warn without a traceback: a lost connection is no mistake in the code."""
    is_warning = record.levelno < logging.ERROR and record.name.startswith(NOISY)
    if is_warning and record.exc_info and record.exc_info[1]:
        record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]}", ()
        record.exc_info = None
    return True


def without_passwords(text: str) -> str:
    """Return the text with the password of each URL in it blotted out."""
    return PASSWORD.sub(r"\1:***@", text)


class TextFormatter(logging.Formatter):
    """Lines for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s%(ids)s")

    @override
    def format(self, record: logging.LogRecord) -> str:
        record.ids = "".join(f" {name}={value}" for name, value in _ids(record))
        return without_passwords(super().format(record))


class JSONFormatter(logging.Formatter):
    """Lines for machines: an object each."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **dict(_ids(record)),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return without_passwords(json.dumps(line, ensure_ascii=False))


def _ids(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    """Yield what the line belongs to; an event is named with `extra={"event_id": …}`."""
    if request := request_id.get():
        yield "request_id", request
    if trace := current_trace_id():
        yield "trace_id", trace
    if event := getattr(record, "event_id", None):
        yield "event_id", str(event)
