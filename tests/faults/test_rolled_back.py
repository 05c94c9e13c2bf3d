"""PostgreSQL rolls back, or lets wait, for reasons that lie with others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.faults.rabbit import Vhost
from tests.faults.service import Service
from tests.faults.stored import connected, held_up
from tests.faults.system import System
from tests.faults.trial import Report, under_load
from tests.support.eventually import eventually

pytestmark = pytest.mark.chaos

# Every other transaction that adds to the table fails, with the SQLSTATE that is its argument.
UNRELIABLE = """
    CREATE FUNCTION fail_sometimes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF txid_current() % 2 = 0 THEN
            RAISE EXCEPTION 'not this time' USING ERRCODE = TG_ARGV[0];
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER unreliable AFTER INSERT ON {table}
        DEFERRABLE INITIALLY {when} FOR EACH ROW EXECUTE FUNCTION fail_sometimes('{state}');
"""
NOT_NOW = "not this time"  # what it says
AT_ONCE, WITH_THE_COMMIT = "IMMEDIATE", "DEFERRED"
STATES = pytest.mark.parametrize(
    ("state", "when"),
    [
        ("40001", WITH_THE_COMMIT),  # serialization failure
        ("40P01", AT_ONCE),  # deadlock
        ("55P03", AT_ONCE),  # lock not available
        ("57014", AT_ONCE),  # cancelled
    ],
)
TIMES = 5  # that a service has to be rolled back

# The detector of the services' sessions comes when the circle is closed; ours never does.
DETECT_LATE = "ALTER DATABASE \"{name}\" SET deadlock_timeout = '3s'"
NEVER_DETECT = "SET deadlock_timeout = '1h'"
DEADLOCK = "deadlock detected"

# In the order in which a service locks them.
RECORDING = ("watches", "outbox")
LEARNING = ("inbox", "meetings")
LEARNED = ("inbox", "learned_watches", "meetings", "model_state")


@asynccontextmanager
async def unreliable(database: str, table: str, state: str, when: str) -> AsyncIterator[None]:
    """Let transactions that add to the table fail while the block lasts."""
    async with connected(database) as connection:
        await connection.execute(UNRELIABLE.format(table=table, state=state, when=when))
        try:
            yield
        finally:
            await connection.execute("DROP FUNCTION fail_sometimes CASCADE")


async def detect_late(database: str) -> None:
    """Give us time to close a circle; for sessions that begin from now on."""
    async with connected(database) as connection:
        name = urlsplit(database).path.removeprefix("/")
        await connection.execute(DETECT_LATE.format(name=name))


@asynccontextmanager
async def a_transaction(database: str) -> AsyncIterator[Any]:
    """Somebody else's, that ends as if it had never been."""
    async with connected(database) as connection:
        await connection.execute(NEVER_DETECT)
        transaction = connection.transaction()
        await transaction.start()
        try:
            yield connection
        finally:
            await transaction.rollback()


async def until_it_says(service: Service, words: str, times: int) -> None:
    """Wait until a service has complained so often since."""
    goal = service.log().count(words) + times
    await eventually(lambda: service.log().count(words) >= goal)


async def lock_in_a_circle(service: Service, database: str, tables: Sequence[str]) -> None:
    """Lock the tables the other way round, until the service had to give way."""
    first, second = tables
    known = service.log().count(DEADLOCK)
    while service.log().count(DEADLOCK) == known:
        async with a_transaction(database) as connection:
            await connection.execute(f"LOCK TABLE {second} IN EXCLUSIVE MODE")
            await eventually(lambda: held_up(database))
            await connection.execute(f"LOCK TABLE {first} IN EXCLUSIVE MODE")


async def redelivered(system: System) -> int:
    """Return how many messages went back to the queue."""
    vhost = Vhost(system.servers.broker, system.places.amqp)
    return await asyncio.to_thread(vhost.redelivered)


@STATES
async def test_what_recording_is_rolled_back_for_makes_no_false_promise(
    state: str, when: str, system: System, report: Report
) -> None:
    database = system.places.consumption_database
    async with under_load(f"F14 recording rolled back, {state}", system, report) as trial:
        async with unreliable(database, "watches", state, when):
            await until_it_says(system.consumption, NOT_NOW, TIMES)
        await trial.load.more(20)
        await trial.recovered()

    assert trial.answers.statuses.keys() == {"201", "503"}


@STATES
async def test_what_learning_is_rolled_back_for_is_learned_once(
    state: str, when: str, system: System, report: Report
) -> None:
    database = system.places.recommendation_database
    async with under_load(f"F15 learning rolled back, {state}", system, report) as trial:
        async with unreliable(database, "inbox", state, when):
            await until_it_says(system.recommendation, NOT_NOW, TIMES)
        await trial.recovered()

    assert trial.answers.statuses.keys() == {"201"}
    assert await redelivered(system) == 0


async def test_recording_that_gives_way_in_a_deadlock_makes_no_false_promise(
    stopped_system: System, report: Report
) -> None:
    system, database = stopped_system, stopped_system.places.consumption_database
    await detect_late(database)
    await system.start()
    async with under_load("F14 recording in a deadlock", system, report) as trial:
        for _ in range(3):
            await lock_in_a_circle(system.consumption, database, RECORDING)
            await trial.load.more(20)
            await trial.recovered()

    assert trial.answers.statuses.keys() == {"201", "503"}


async def test_what_gives_way_in_a_deadlock_is_learned_once(
    stopped_system: System, report: Report
) -> None:
    system, database = stopped_system, stopped_system.places.recommendation_database
    await detect_late(database)
    await system.start()
    async with under_load("F15 learning in a deadlock", system, report) as trial:
        for _ in range(3):
            await lock_in_a_circle(system.recommendation, database, LEARNING)
            await trial.load.more(20)
            await trial.recovered()

    assert trial.answers.statuses.keys() == {"201"}
    assert await redelivered(system) == 0


async def test_recording_outlives_somebody_who_locks_and_does_nothing(
    system: System, report: Report
) -> None:
    database = system.places.consumption_database
    async with under_load("F14 a lock held by who is idle", system, report) as trial:
        async with a_transaction(database) as connection:
            await connection.execute("LOCK TABLE outbox IN EXCLUSIVE MODE")
            await until_it_says(system.consumption, "may not have been committed", 2)
        await trial.load.more(20)
        await trial.recovered()

    assert trial.answers.statuses.keys() == {"201", "503"}


async def test_learning_waits_for_somebody_who_locks_and_does_nothing(
    system: System, report: Report
) -> None:
    database = system.places.recommendation_database
    async with under_load("F15 rows held by who is idle", system, report) as trial:
        async with a_transaction(database) as connection:
            for table in LEARNED:
                await connection.execute(f"TABLE {table} FOR UPDATE")
            await until_it_says(system.recommendation, "learning waits", 2)
        await trial.recovered()

    assert trial.answers.statuses.keys() == {"201"}
    assert await redelivered(system) == 0
