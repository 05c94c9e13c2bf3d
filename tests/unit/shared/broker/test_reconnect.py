"""The loop that reconnects, and the state of its connection."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from typing_extensions import override

from shared.broker import reconnect
from shared.broker.interface import BrokerError, BrokerRefused, BrokerUnavailable
from shared.broker.reconnect import ConnectionStatus, keep_connected
from tests.support.eventually import PATIENCE

Work = Callable[[int], Awaitable[None]]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "RECONNECT_DELAY", 0.001)


class Connections:
    """Opens connections, numbered from 1, which are open or fail to open."""

    def __init__(self, *failures: BrokerError) -> None:
        self._failures = list(failures)
        self.opened = 0
        self.closed = 0

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[int]:
        if self._failures:
            raise self._failures.pop(0)
        self.opened += 1
        try:
            yield self.opened
        finally:
            self.closed += 1


class RecordedStatus(ConnectionStatus):
    """Keeps what was reported."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.outages: list[str | None] = []

    @override
    def update(self, outage: str | None) -> None:
        self.outages.append(outage)
        super().update(outage)


async def until_done(
    status: ConnectionStatus, connections: Connections, work: Work, done: asyncio.Event
) -> None:
    """Let the loop run until `done`, and cancel it."""
    looping = asyncio.create_task(keep_connected(status, connections.connect, work))
    waiting = asyncio.create_task(done.wait())
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait([looping, waiting], return_when=asyncio.FIRST_COMPLETED)
        for task in (looping, waiting):
            task.cancel()
        await asyncio.wait([looping, waiting])
    assert looping.cancelled()


def test_a_connection_is_an_outage_until_it_is_there(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    status = ConnectionStatus("publishing")
    assert status.outage
    assert not status.attempted.is_set()

    for outage in ("it is away", "it is away", None, None, "it is full", None):
        status.update(outage)
        assert status.outage == outage
        assert status.attempted.is_set()

    assert [record.getMessage() for record in caplog.records] == [
        "publishing waits: it is away",
        "publishing is connected to the broker again",
        "publishing waits: it is full",
        "publishing is connected to the broker again",
    ]


@pytest.mark.parametrize("failure", [BrokerUnavailable("away"), BrokerRefused("no"), ValueError()])
async def test_work_that_fails_is_started_again_on_another_connection(failure: Exception) -> None:
    status, connections, done = ConnectionStatus("publishing"), Connections(), asyncio.Event()

    async def work(connection: int) -> None:
        assert status.outage is None
        if connection == 1:
            raise failure
        assert connections.closed == 1
        done.set()
        await asyncio.sleep(PATIENCE)

    await until_done(status, connections, work, done)

    assert (connections.opened, connections.closed) == (2, 2)


async def test_work_that_ends_is_started_again() -> None:
    status, connections, done = ConnectionStatus("publishing"), Connections(), asyncio.Event()

    async def work(connection: int) -> None:
        if connection == 3:
            done.set()

    await until_done(status, connections, work, done)


async def test_a_connection_that_cannot_be_opened_is_tried_again() -> None:
    status, done = RecordedStatus("publishing"), asyncio.Event()
    connections = Connections(BrokerUnavailable("it is away"), BrokerRefused("no such user"))

    async def work(_: int) -> None:
        done.set()
        await asyncio.sleep(PATIENCE)

    await until_done(status, connections, work, done)

    assert status.outages == ["it is away", "no such user", None]


async def test_an_unexpected_error_is_logged_and_is_an_outage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    status, connections, done = RecordedStatus("publishing"), Connections(), asyncio.Event()

    async def work(connection: int) -> None:
        if connection == 1:
            raise ValueError("a mistake")
        done.set()
        await asyncio.sleep(PATIENCE)

    await until_done(status, connections, work, done)

    assert status.outages == [None, "failed, see the log", None]
    assert "publishing failed, and starts again" in caplog.text
    assert "a mistake" in caplog.text


async def test_a_cancelled_loop_closes_its_connection_and_stops() -> None:
    status, connections, done = ConnectionStatus("publishing"), Connections(), asyncio.Event()

    async def work(_: int) -> None:
        done.set()
        await asyncio.sleep(PATIENCE)

    await until_done(status, connections, work, done)

    assert (connections.opened, connections.closed) == (1, 1)
