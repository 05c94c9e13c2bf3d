"""Logs: passwords are masked, ids are shown, a library's warning takes one line."""

import json
import logging
from collections.abc import Generator

import pytest

from shared.process.logs import (
    JSONFormatter,
    TextFormatter,
    _in_one_line,
    request_id,
    without_passwords,
)


@pytest.fixture(autouse=True)
def _request() -> Generator[None]:
    token = request_id.set("r-1")
    yield
    request_id.reset(token)


def record(message: str, logger: str = "upnext", level: int = logging.INFO) -> logging.LogRecord:
    failure = (OSError, OSError("lost"), None) if level > logging.INFO else None
    made = logging.LogRecord(logger, level, "file.py", 1, message, None, failure)
    made.event_id = "e-1"
    return made


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("amqp://guest:secret@host/%2f", "amqp://guest:***@host/%2f"),
        ("postgresql://a:p@ss:w@host:5432/db", "postgresql://a:***@host:5432/db"),
        ("from redis://:one@a to http://x:two@b", "from redis://:***@a to http://x:***@b"),
        ("http://host:8000/path and a@b", "http://host:8000/path and a@b"),
    ],
)
def test_the_password_of_each_url_is_masked(text: str, masked: str) -> None:
    assert without_passwords(text) == masked
    assert (
        TextFormatter()
        .format(record(text))
        .endswith(f" INFO    upnext: {masked} request_id=r-1 event_id=e-1")
    )
    assert json.loads(JSONFormatter().format(record(text)))["message"] == masked


def test_a_json_line_is_an_object_with_the_ids_and_the_exception() -> None:
    line = json.loads(JSONFormatter().format(record("failed", level=logging.ERROR)))

    assert line["time"].endswith("+00:00")
    assert line["exception"].endswith("OSError: lost")
    assert [line[name] for name in ("level", "logger", "request_id", "event_id")] == [
        *("ERROR", "upnext", "r-1", "e-1")
    ]


@pytest.mark.parametrize(
    ("logger", "level", "message"),
    [
        ("aio_pika.robust", logging.WARNING, "no connection: lost"),
        ("aio_pika.robust", logging.ERROR, "no connection"),
        ("upnext", logging.WARNING, "no connection"),
    ],
)
def test_only_a_library_warns_without_a_traceback(logger: str, level: int, message: str) -> None:
    warning = record("no connection", logger, level)

    assert _in_one_line(warning)
    assert warning.getMessage() == message
    assert (warning.exc_info is None) == (message != "no connection")
