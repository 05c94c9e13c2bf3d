"""Logs: lines say what they belong to, in the right format, and never a secret."""

import asyncio
import io
import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest

from shared.access.guard import Guard
from shared.access.permissions import Permissions
from shared.broker.interface import Message
from shared.broker.topology import WATCH
from shared.http.app import create_app
from shared.process.logs import JSONFormatter
from shared.process.settings import SharedSettings
from tests.infrastructure.server import free_port
from tests.support.commands import run_command
from tests.support.eventually import PATIENCE, within
from tests.support.pair import SetUp, parked
from tests.support.repository import ROOT

SECRET: Final = "hunter2"  # noqa: S105 - it is to be looked for
LINE: Final = (
    "import logging, shared.process.logs as l; l.configure_logs('auto'); logging.warning('ready')"
)

WARNINGS: Final = """
import logging, shared.process.logs as l
l.configure_logs('auto')
try:
    raise OSError('it is gone')
except OSError:
    logging.getLogger('aiormq.connection').warning('the %s ended', 'reader', exc_info=True)
    logging.getLogger('shared').warning('failed', exc_info=True)
"""


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JSONFormatter())
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)


def read(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


async def test_each_answer_has_an_id(consumption: httpx.AsyncClient) -> None:
    answers = [await consumption.get("/watches") for _ in range(2)]
    answers.append(await consumption.get("/nowhere"))

    assert len({answer.headers["X-Request-ID"] for answer in answers}) == 3


async def test_the_id_is_the_clients_where_that_is_a_sound_one(
    consumption: httpx.AsyncClient,
) -> None:
    async def answered(wanted: str) -> str:
        answer = await consumption.get("/watches", headers={"X-Request-ID": wanted})
        return answer.headers["X-Request-ID"]

    assert await answered("01J-abc.7:a_b") == "01J-abc.7:a_b"
    for unsound in ("two words", "", "x" * 65, 'quoted"'):
        assert await answered(unsound) not in {unsound, ""}


async def test_the_line_of_a_bug_and_its_answer_name_the_same_request(lines: io.StringIO) -> None:
    settings = SharedSettings()
    app = create_app(settings, "Broken", "", Guard(settings, Permissions({}), "127.0.0.1"))

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError(f"amqp://me:{SECRET}@there/")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/bug")

    (line,) = (one for one in read(lines) if one["message"] == "GET /bug failed")
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert "RuntimeError: amqp://me:***@there/" in line["exception"]


async def test_the_line_of_a_parked_message_names_the_event(
    embedded: SetUp, lines: io.StringIO
) -> None:
    async with embedded.recommendation() as recommendation:
        async with embedded.broker.publisher(WATCH) as publisher:
            await publisher.publish([Message(message_id="e-7", routing_key="paused", body=b"")])
        await parked(recommendation, 1)

    assert [line["event_id"] for line in read(lines) if "parked" in line["message"]] == ["e-7"]


def test_lines_are_for_people_on_a_terminal_and_json_elsewhere() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", LINE]
    run_command(command, cwd=ROOT, stderr=theirs, check=True)
    piped = run_command(command, cwd=ROOT, stderr=subprocess.PIPE, check=True)

    assert os.read(ours, 1000).decode().strip().endswith("WARNING root: ready")
    assert json.loads(piped.stderr)["message"] == "ready"
    os.close(ours)
    os.close(theirs)


def test_a_library_warns_in_one_line_and_we_show_where_an_error_was() -> None:
    command = [sys.executable, "-c", WARNINGS]
    piped = run_command(command, cwd=ROOT, stderr=subprocess.PIPE, check=True)

    theirs, ours = map(json.loads, piped.stderr.splitlines())
    assert theirs["message"] == "the reader ended: it is gone"
    assert "exception" not in theirs
    assert "Traceback" in ours["exception"]


BROKEN: Final = {
    "a wrong password of the database": {"database": "postgresql://postgres:{}@{database}/none"},
    "a database that is away": {"database": "postgresql://me:{}@127.0.0.1:{free}/away"},
    "a kind of database that nobody knows": {"database": "oracle://me:{}@127.0.0.1/x"},
    "an address that is none": {"database": "postgresql://me:{}@127.0.0.1:port/x"},
    "a wrong password of the broker": {"broker": "amqp://me:{}@{broker}/"},
    "a broker that is away": {"broker": "amqp://me:{}@127.0.0.1:{free}/"},
    "a broker's address that is none": {"broker": "amqp://me:{}@127.0.0.1:port/"},
    "no broker's address at all": {"broker": "http://me:{}@127.0.0.1/"},
}


async def test_a_password_is_in_no_line(tmp_path: Path, postgres_url: str, amqp_url: str) -> None:
    places = {
        "database": urlsplit(postgres_url).netloc.rpartition("@")[2],
        "broker": urlsplit(amqp_url).netloc.rpartition("@")[2],
        "free": free_port(),
    }
    trials = []
    for number, urls in enumerate(BROKEN.values()):
        environment = {
            "CONSUMPTION_DATABASE_URL": f"sqlite:///{tmp_path}/{number}.db",
            "AMQP_URL": amqp_url,
            "LOG_FORMAT": ("json", "text")[number % 2],
            "CONSUMPTION_PORT": str(free_port()),
        }
        names = {"database": "CONSUMPTION_DATABASE_URL", "broker": "AMQP_URL"}
        for kind, url in urls.items():
            environment[names[kind]] = url.format(SECRET, **places)
        trials.append(first_words(environment, tmp_path))

    said = dict(zip(BROKEN, await within(asyncio.gather(*trials)), strict=True))

    assert [name for name, words in said.items() if not words.strip()] == []
    assert [name for name, words in said.items() if SECRET in words] == []


async def first_words(environment: dict[str, str], folder: Path) -> str:
    """Start the service, and return what it says until it complains or ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "consumption_service",
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr
    try:
        words = b""
        while line := await asyncio.wait_for(process.stderr.readline(), PATIENCE):
            words += line
            if b"wait" in line:  # for the database, or for the broker
                process.kill()
        return words.decode()
    finally:
        if process.returncode is None:
            process.kill()
        await within(process.wait())


async def test_a_service_that_cannot_start_says_so_in_the_format_asked_for(tmp_path: Path) -> None:
    environment = {"LOG_FORMAT": "json", "CONSUMPTION_DATABASE_URL": f"oracle://me:{SECRET}@x/y"}

    said = await first_words(environment | {"AMQP_URL": "amqp://x/"}, tmp_path)

    (line,) = map(json.loads, said.splitlines())
    assert line["level"] == "CRITICAL"
    assert line["message"].startswith("cannot start: ")
