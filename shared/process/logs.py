"""Logs: one line for each record, as text on a terminal, as JSON elsewhere.

A line has the id of its request, and of its event if there is one. It has ids, and nothing else
about a person; passwords in URLs are masked, also in records of libraries.
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

LIBRARIES: Final = ("aio_pika", "aiormq", "alembic", "uvicorn.error", "httpx")
PASSWORD: Final = re.compile(r"(?<=://)([^\s:/@]*):[^\s/]*@")  # up to the last @: it may hold one

request_id: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)


def configure_logs(wanted: LogFormat) -> None:
    """Log to stderr in this format; `auto` is text if stderr is a terminal, else JSON."""
    is_text = wanted == "text" or (wanted == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(TextFormatter() if is_text else JSONFormatter())
    handler.addFilter(_in_one_line)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)


def _in_one_line(record: logging.LogRecord) -> bool:
    """Put a library's warning in one line: a lost connection needs no traceback."""
    is_warning = record.levelno < logging.ERROR and record.name.startswith(LIBRARIES)
    if is_warning and record.exc_info and record.exc_info[1]:
        record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]}", ()
        record.exc_info = None
    return True


def without_passwords(text: str) -> str:
    """Return the text with the password of each URL masked."""
    return PASSWORD.sub(r"\1:***@", text)


class TextFormatter(logging.Formatter):
    """Formats records as text."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s%(ids)s")

    @override
    def format(self, record: logging.LogRecord) -> str:
        record.ids = "".join(f" {name}={value}" for name, value in _ids(record))
        return without_passwords(super().format(record))


class JSONFormatter(logging.Formatter):
    """Formats each record as a JSON object."""

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
    """Yield the ids of the request, the trace, and the event (`extra={"event_id": …}`)."""
    if request := request_id.get():
        yield "request_id", request
    if trace := current_trace_id():
        yield "trace_id", trace
    if event := getattr(record, "event_id", None):
        yield "event_id", str(event)
