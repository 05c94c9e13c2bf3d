"""A database that says nothing: requests are refused in time, and do not pile up in memory."""

import pytest

from tests.faults.servers import frozen
from tests.faults.system import System
from tests.faults.trial import Report, under_load

MAX_WAITING = 50
IN_TRANSACTIONS = 2 * 256  # requests that wait for the database itself, and count as no others
BURST = IN_TRANSACTIONS + MAX_WAITING + 200  # 200 more than may wait
BURSTS = 3
ROOM = 50_000  # kB that the service may grow by, whatever comes


@pytest.mark.chaos
async def test_a_mute_database_lets_a_bounded_number_of_requests_wait(
    stopped_system: System, report: Report
) -> None:
    system, one = stopped_system, stopped_system.consumption
    one.environment["MAX_WAITING"] = str(MAX_WAITING)
    await system.start()
    pid = one.pid
    async with under_load("F14 consumption database mute", system, report) as trial:
        with trial.load.resting():
            await trial.load.burst(BURST)
            before = one.memory()
            with frozen(system.servers.consumption):
                for _ in range(BURSTS):
                    await trial.load.burst(BURST)
                assert await one.readiness() is None
            grown = one.memory() - before
        await trial.load.more(50)
        await trial.recovered()

    assert trial.answers.statuses.keys() == {"201", "503"}
    assert grown < ROOM
    assert one.pid == pid
