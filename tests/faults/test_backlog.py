"""What waited in the outbox is sent oldest first, and holds up nothing that is new."""

from uuid import UUID

import pytest

from tests.faults.network import Wires
from tests.faults.stored import inbox_of, learned_at, outbox_of, outbox_size
from tests.faults.system import System, in_thread
from tests.faults.trial import Report, under_load

BACKLOG = 1500  # events: several batches
LONG_BACKLOG = 21_000  # more than the service keeps in memory
BURST = 100  # requests at once


async def assert_in_order(system: System, backlog: frozenset[UUID]) -> None:
    """The backlog was learned oldest first."""
    times = await learned_at(system.places.recommendation_database)
    learned = [times[event_id] for event_id in sorted(backlog)]
    assert learned == sorted(learned)


async def test_a_backlog_is_sent_oldest_first_and_holds_up_nothing_new(
    wired: System, wires: Wires, report: Report
) -> None:
    one = wired.consumption
    async with under_load("F1 F5 backlog of a service that was killed", wired, report) as trial:
        wires.publishing.refuse()
        for _ in range(BACKLOG // BURST):
            await trial.load.burst(BURST)
        one.kill()
        backlog = await outbox_of(wired.places.consumption_database)
        one.start()
        await one.until_ready()
        await trial.load.more(300)
        await wires.publishing.open()
        await trial.recovered()

    assert len(backlog) >= BACKLOG
    await assert_in_order(wired, backlog)
    times = await learned_at(wired.places.recommendation_database)
    newer = {event_id for event_id in times if event_id > max(backlog)}
    assert min(times[event_id] for event_id in newer) < max(times[one] for one in backlog)


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_the_broker_may_be_away_for_minutes(system: System, report: Report) -> None:
    database = system.places.consumption_database
    async with under_load("F5 broker away for minutes", system, report) as trial:
        await in_thread(system.servers.broker.stop)

        while await outbox_size(database) < LONG_BACKLOG:
            await trial.load.burst(BURST)
        backlog = await outbox_of(database)
        await in_thread(system.servers.broker.start)
        await trial.recovered()

    assert trial.answers.statuses.keys() == {"201"}
    assert backlog <= await inbox_of(system.places.recommendation_database)
