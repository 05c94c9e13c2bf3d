"""Several workers of each service: one address, and none of them is missed."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.service import END_TIMEOUT, Service, service
from tests.faults.system import Places, System
from tests.faults.test_refusing_to_start import last_words, with_login
from tests.faults.trial import Report, under_load
from tests.support.commands import run_command
from tests.support.eventually import eventually

COUNT = 2
SETTING = {"WORKERS": str(COUNT)}


@pytest_asyncio.fixture
async def crowd(stopped_system: System) -> System:
    """Both services, with several workers each."""
    for one in (stopped_system.consumption, stopped_system.recommendation):
        one.environment |= SETTING
    await stopped_system.start()
    return stopped_system


@pytest_asyncio.fixture
async def alone(places: Places, tmp_path: Path) -> AsyncGenerator[Service]:
    """The consumption service, with several workers."""
    urls = {"AMQP_URL": places.amqp, "CONSUMPTION_DATABASE_URL": places.consumption_database}
    with service("consumption_service", tmp_path, {**SETTING, **urls}) as one:
        one.start()
        await one.until_ready()
        yield one


def workers_of(pid: int) -> set[int]:
    """The processes that this one started, and that run."""
    command = ["ps", "-A", "-o", "pid=,ppid=,stat="]
    lines = run_command(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = (line.split() for line in lines)
    return {int(one) for one, parent, state in found if int(parent) == pid and state[0] != "Z"}


async def test_a_worker_that_dies_is_replaced_and_nothing_is_lost(
    crowd: System, report: Report
) -> None:
    dice = random.Random(1)  # noqa: S311 - a repeatable choice
    async with under_load("SIGKILL of one worker of each service", crowd, report) as trial:
        for one in (crowd.consumption, crowd.recommendation):
            await trial.load.more(100)
            before = workers_of(one.pid)
            assert len(before) == COUNT
            victim = dice.choice(sorted(before))
            os.kill(victim, signal.SIGKILL)

            def is_replaced(one: Service = one, before: set[int] = before) -> bool:
                now = workers_of(one.pid)
                return len(now) == COUNT and now != before

            await eventually(is_replaced)
            await trial.recovered()


async def test_all_workers_stop_when_the_service_is_asked_to(alone: Service) -> None:
    workers = workers_of(alone.pid)

    alone.ask_to_stop()
    code = await asyncio.to_thread(alone.wait, END_TIMEOUT)

    assert code == 0, alone.log()
    assert "Traceback" not in alone.log()
    assert not any(map(is_alive, workers))


async def test_workers_do_not_outlive_the_process_that_started_them(alone: Service) -> None:
    workers = workers_of(alone.pid)
    assert len(workers) == COUNT

    alone.kill()

    await eventually(lambda: not any(map(is_alive, workers)))


@pytest.mark.parametrize("package", ["consumption_service", "recommendation_service"])
async def test_sqlite_is_refused(package: str, places: Places, tmp_path: Path) -> None:
    said = await last_words(package, tmp_path, {**SETTING, "AMQP_URL": places.amqp})

    assert "WORKERS needs PostgreSQL" in said


async def test_a_service_whose_workers_cannot_start_ends(places: Places, tmp_path: Path) -> None:
    settings = {
        **SETTING,
        "AMQP_URL": with_login(places.amqp, "guest:wrong"),
        "CONSUMPTION_DATABASE_URL": places.consumption_database,
    }
    with service("consumption_service", tmp_path, settings) as refused:
        refused.start()
        code = await asyncio.to_thread(refused.wait, END_TIMEOUT)

    assert code == 1, refused.log()
    assert "refuses the login of user 'guest'" in refused.log()
    assert "Traceback" not in refused.log()


def is_alive(pid: int) -> bool:
    """Tell whether the process runs: what nobody has buried yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
