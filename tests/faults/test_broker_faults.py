"""The broker dies, goes away, runs full, or loses what was declared on it."""

import pytest

from tests.faults import rabbit
from tests.faults.rabbit import Vhost
from tests.faults.stored import outbox_size
from tests.faults.system import System, in_thread
from tests.faults.trial import Report, Trial, under_load
from tests.support.eventually import eventually

ALARMS = {
    "memory": (rabbit.raise_memory_alarm, rabbit.end_memory_alarm),
    "disk": (rabbit.raise_disk_alarm, rabbit.end_disk_alarm),
}


async def until_outbox_holds(system: System, count: int) -> None:
    """Wait until so many events could not be announced."""

    async def holds() -> bool:
        return await outbox_size(system.places.consumption_database) >= count

    await eventually(holds)


async def trouble_of(system: System) -> str:
    """Return what the consumption service says is wrong with the broker, while it is degraded."""
    said = await system.consumption.readiness()
    return str(said["parts"]["broker"]) if said and said["status"] == "degraded" else ""


async def names_the_broker(system: System) -> bool:
    """Tell whether it says where the broker should be, which it does when it has tried again."""
    return "RabbitMQ at 127.0.0.1" in await trouble_of(system)


def assert_prompt(trial: Trial) -> None:
    """Requests were answered as if nothing had happened.

    Had they waited for the broker, each for 10 seconds, there would not have been as many.
    """
    assert trial.answers.statuses.keys() == {"201"}


async def test_watches_are_accepted_while_the_broker_is_away_and_announced_afterwards(
    system: System, report: Report
) -> None:
    broker = system.servers.broker
    async with under_load("F4 broker killed", system, report) as trial:
        await trial.load.more(200)
        await in_thread(broker.kill)
        await until_outbox_holds(system, 300)
        await eventually(lambda: names_the_broker(system))
        await in_thread(broker.start)
        await trial.recovered()

    assert_prompt(trial)


@pytest.mark.chaos
async def test_no_accepted_watch_is_lost_when_the_broker_is_shut_down(
    system: System, report: Report
) -> None:
    broker = system.servers.broker
    async with under_load("F5 broker stopped for a while", system, report) as trial:
        await in_thread(broker.stop)
        await until_outbox_holds(system, 500)
        await in_thread(broker.start)
        await trial.recovered()

    assert_prompt(trial)


@pytest.mark.chaos
@pytest.mark.parametrize("kind", ["memory", "disk"])
async def test_watches_are_accepted_while_the_broker_has_an_alarm(
    kind: str, system: System, report: Report
) -> None:
    broker = system.servers.broker
    begin, end = ALARMS[kind]
    async with under_load(f"F6 {kind} alarm", system, report) as trial:
        await in_thread(lambda: begin(broker))
        try:
            await until_outbox_holds(system, 500)
            await eventually(lambda: trouble_of(system))
        finally:
            await in_thread(lambda: end(broker))
        await trial.recovered()

    assert_prompt(trial)


@pytest.mark.chaos
async def test_closing_all_connections_loses_nothing(system: System, report: Report) -> None:
    vhost = Vhost(system.servers.broker, system.places.amqp)
    async with under_load("F9 all connections closed", system, report) as trial:
        for _ in range(3):
            await trial.load.more(200)
            await in_thread(vhost.close_connections)
            await trial.recovered()

    assert_prompt(trial)


@pytest.mark.chaos
async def test_events_without_a_queue_wait_in_the_outbox(system: System, report: Report) -> None:
    vhost = Vhost(system.servers.broker, system.places.amqp)
    async with under_load("F10 binding removed", system, report) as trial:
        await in_thread(vhost.unbind)
        await until_outbox_holds(system, 500)
        trouble = await eventually(lambda: trouble_of(system))
        await in_thread(vhost.bind)
        await trial.recovered()

    assert "unroutable" in trouble
    assert_prompt(trial)


@pytest.mark.chaos
async def test_events_without_an_exchange_wait_in_the_outbox(
    system: System, report: Report
) -> None:
    vhost = Vhost(system.servers.broker, system.places.amqp)
    async with under_load("F10 exchange deleted", system, report) as trial:
        await in_thread(vhost.delete_exchange)
        await until_outbox_holds(system, 500)
        await eventually(lambda: trouble_of(system))
        # The service has declared it again by itself; who it leads to is not for it to know.
        await in_thread(vhost.bind)
        await trial.recovered()

    assert_prompt(trial)


@pytest.mark.chaos
async def test_a_queue_that_was_deleted_is_declared_again(system: System, report: Report) -> None:
    vhost = Vhost(system.servers.broker, system.places.amqp)
    async with under_load("F10 queue deleted, empty", system, report) as trial:
        with trial.load.resting():
            await trial.recovered()
            await in_thread(vhost.delete_queue)
        await trial.load.more(300)
        await trial.recovered()

    assert_prompt(trial)


@pytest.mark.chaos
async def test_events_that_a_full_queue_refuses_wait_until_it_has_room(
    system: System, report: Report
) -> None:
    vhost = Vhost(system.servers.broker, system.places.amqp)
    async with under_load("F11 queue full", system, report) as trial:
        system.recommendation.kill()
        await in_thread(lambda: vhost.limit_queue(50))
        await until_outbox_holds(system, 500)
        trouble = await eventually(lambda: trouble_of(system))
        system.recommendation.start()
        await system.recommendation.until_ready()
        await trial.recovered()

    assert "refused" in trouble
    assert_prompt(trial)


@pytest.mark.chaos
async def test_a_full_queue_whose_limit_is_lifted_takes_what_it_refused(
    system: System, report: Report
) -> None:
    vhost = Vhost(system.servers.broker, system.places.amqp)
    async with under_load("F11 queue full, limit lifted", system, report) as trial:
        system.recommendation.kill()
        await in_thread(lambda: vhost.limit_queue(50))
        await until_outbox_holds(system, 500)
        await in_thread(vhost.unlimit_queue)
        system.recommendation.start()
        await system.recommendation.until_ready()
        await trial.recovered()

    assert_prompt(trial)
