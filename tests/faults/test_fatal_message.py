"""A message that ends the process each time that it is processed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared.process.background import running
from tests.faults.failpoints import fatal_message, harmless_again
from tests.faults.oracle import BETWEEN_LOOKS
from tests.faults.service import END_TIMEOUT, Service
from tests.faults.stored import inbox_of, set_aside_in
from tests.faults.system import System
from tests.faults.test_poison import publish
from tests.faults.trial import Report, Trial, under_load
from tests.support.eventually import eventually

LONG = 250.0  # seconds; the service starts anew for every delivery

FATAL = "this one ends the process"
BODY = f'{{"user_id": 1, "lesson_id": 1, "position": "{FATAL}"}}'.encode()


async def revive(one: Service, trial: Trial) -> None:
    """Start the service again whenever it has died, like a supervisor, for ever."""
    while True:
        await asyncio.sleep(BETWEEN_LOOKS)
        if not one.is_running():
            one.wait(1.0)
            one.start()
            trial.times += 1


@asynccontextmanager
async def fatal_among_healthy(system: System, report: Report) -> AsyncIterator[Trial]:
    """Put the message at the head of a queue that is longer than the prefetch."""
    one = system.recommendation
    fatal_message(one, FATAL)
    await system.start()
    async with under_load("F16 message that ends the process", system, report) as trial:
        await trial.recovered()
        trial.times = 0
        one.kill()
        await publish(system.places.amqp, [("created", BODY, {}, "fatal")])
        await trial.load.more(500)
        with trial.load.resting():
            async with running(revive(one, trial), "supervisor"):
                yield trial
            one.ask_to_stop()  # a kill may come between parking and acknowledging that
            await asyncio.to_thread(one.wait, END_TIMEOUT)
        harmless_again(one)
        one.start()
        await one.until_ready()
        await trial.recovered()
        trial.parked = 1


async def test_a_message_that_ends_the_process_does_not_hold_up_the_others(
    stopped_system: System, report: Report
) -> None:
    database = stopped_system.places.recommendation_database
    async with fatal_among_healthy(stopped_system, report) as trial:

        async def others_are_learned() -> bool:
            await asyncio.sleep(BETWEEN_LOOKS)
            return trial.answers.accepted.keys() <= await inbox_of(database)

        await eventually(others_are_learned, timeout=LONG)
        assert not await set_aside_in(database)


@pytest.mark.chaos
async def test_a_message_that_ends_the_process_is_parked_alone(
    stopped_system: System, report: Report
) -> None:
    database = stopped_system.places.recommendation_database
    async with fatal_among_healthy(stopped_system, report):

        async def is_parked() -> bool:
            await asyncio.sleep(BETWEEN_LOOKS)
            return bool(await set_aside_in(database))

        await eventually(is_parked, timeout=LONG)

    (parked,) = (await stopped_system.recommendation.get("/parked"))["items"]
    assert parked["detail"] == "delivery_limit"
    assert parked["message_id"] == "fatal"
