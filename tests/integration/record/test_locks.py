"""Recording and erasing take turns, also where two processes do it on one PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from consumption_service.record import erase as erase_module
from consumption_service.record import group_commit
from consumption_service.record.write import record
from consumption_service.record.write_in_one_statement import record_in_one_statement
from shared.broker.topology import RECOMMENDATION_WATCH
from shared.database.database import Database, open_database
from tests.integration.erasure.test_erase import Told, erase, post, take
from tests.support.eventually import eventually, within
from tests.support.pair import SetUp

# Whoever records a watch of a user who has one waits for the lock 1.
WAIT = """
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM watches WHERE user_id = NEW.user_id) THEN
            PERFORM pg_advisory_xact_lock_shared(1);
        END IF;
        RETURN NEW;
    END $$
"""
WAIT_AT_THE_SECOND = (
    "CREATE TRIGGER wait BEFORE INSERT ON watches FOR EACH ROW EXECUTE FUNCTION wait()"
)
WAITING = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


class Pause:
    """Holds up work that is done but not committed."""

    def __init__(self, work: Callable[..., Awaitable[Any]]) -> None:
        self._work = work
        self._may_go_on = asyncio.Event()
        self.is_done = asyncio.Event()

    async def __call__(self, *arguments: object) -> Any:
        result = await self._work(*arguments)
        self.is_done.set()
        await within(self._may_go_on.wait())
        return result

    async def end_when_somebody_waits(self, url: str) -> None:
        """Let the work be committed as soon as another transaction waits for its turn."""
        await within(self.is_done.wait())

        async def is_waited_for() -> bool:
            async with database.read() as connection:
                return bool(await connection.scalar(WAITING))

        try:
            async with open_database(url) as database:
                await eventually(is_waited_for)
        finally:
            self._may_go_on.set()


async def test_what_is_being_recorded_is_erased(
    real: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = Pause(record)
    monkeypatch.setattr(group_commit, "record", pause)

    async with two_services(real) as (one, other):
        posting = asyncio.create_task(post(one, 42))
        await within(pause.is_done.wait())
        erasing = asyncio.create_task(erase(other, 42))
        await pause.end_when_somebody_waits(real.consumption_database)

        watch, receipt = await within(posting), await within(erasing)
        assert moment(watch["recorded_at"]) < moment(receipt["requested_at"])
        assert (await one.get("/watches")).json()["items"] == []


async def test_what_comes_during_an_erasure_is_recorded_after_it(
    real: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = Pause(erase_module.erase_rows)
    monkeypatch.setattr(erase_module, "erase_rows", pause)

    async with two_services(real) as (one, other):
        erasing = asyncio.create_task(erase(other, 42))
        await within(pause.is_done.wait())
        posting = asyncio.create_task(post(one, 42))
        await pause.end_when_somebody_waits(real.consumption_database)

        watch, receipt = await within(posting), await within(erasing)
        assert moment(watch["recorded_at"]) > moment(receipt["requested_at"])
        assert len((await one.get("/watches")).json()["items"]) == 1


@pytest.mark.usefixtures("good_clock_reading")
async def test_what_is_being_recorded_at_once_is_erased(real: SetUp) -> None:
    async with two_services(real) as (one, other), held_up(real.consumption_database) as held:
        await post(one, 42)
        posting = asyncio.create_task(post(one, 42))
        await held.until_somebody_waits()
        erasing = asyncio.create_task(erase(other, 42))
        await held.until_somebody_waits(2)
        await held.let_go()

        watch, receipt = await within(posting), await within(erasing)
        assert moment(watch["recorded_at"]) < moment(receipt["requested_at"])
        assert (await one.get("/watches")).json()["items"] == []


@pytest.mark.usefixtures("good_clock_reading")
async def test_what_was_to_be_recorded_at_once_is_recorded_after_an_erasure(
    real: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_its_time, may_go_on = asyncio.Event(), asyncio.Event()

    async def late(*arguments: Any) -> Any:
        has_its_time.set()
        await within(may_go_on.wait())
        return await record_in_one_statement(*arguments)

    monkeypatch.setattr(group_commit, "record_in_one_statement", late)
    async with two_services(real) as (one, other):
        await post(one, 42)  # looks at the clock
        posting = asyncio.create_task(post(one, 42))
        await within(has_its_time.wait())
        receipt = await erase(other, 42)
        may_go_on.set()

        watch = await within(posting)
        assert moment(watch["recorded_at"]) > moment(receipt["requested_at"])
        assert [one["id"] for one in (await one.get("/watches")).json()["items"]] == [watch["id"]]


class HeldUp:
    """Statements that wait in the middle of recording a watch, until they are let go."""

    def __init__(self, database: Database, holding: AsyncConnection) -> None:
        self._database = database
        self._holding = holding

    async def until_somebody_waits(self, count: int = 1) -> None:
        async def do_wait() -> bool:
            async with self._database.read() as connection:
                return bool(await connection.scalar(WAITING) == count)

        await eventually(do_wait)

    async def let_go(self) -> None:
        await self._holding.rollback()


@asynccontextmanager
async def held_up(url: str) -> AsyncIterator[HeldUp]:
    """Hold up whoever records the user's second watch, having got its turn."""
    async with open_database(url) as database:
        async with database.write() as connection:
            await connection.execute(text(WAIT))
            await connection.execute(text(WAIT_AT_THE_SECOND))
        async with database.engine.connect() as holding:
            await holding.execute(text("SELECT pg_advisory_xact_lock(1)"))
            yield HeldUp(database, holding)


@asynccontextmanager
async def two_services(set_up: SetUp) -> AsyncIterator[Sequence[httpx.AsyncClient]]:
    """Two processes' worth of the service on one database."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(set_up.consumption()) for _ in range(2)]


async def test_what_is_recorded_at_the_same_time_is_erased_or_recorded_after(
    set_up: SetUp,
) -> None:
    """For whoever goes by the times, as the recommendation service does, it is the same."""
    async with (
        set_up.broker.subscription(RECOMMENDATION_WATCH, 1000) as source,
        two_services(set_up) as services,
    ):
        posts = [asyncio.create_task(post(services[n % 2], 42)) for n in range(150)]
        receipts = []
        for number in range(4):
            await within(asyncio.wait(posts[number * 20 : number * 20 + 1]))
            receipts.append(await erase(services[number % 2], 42))
        watches = await within(asyncio.gather(*posts))
        erased_at = max(receipt["requested_at"] for receipt in receipts)

        left = (await services[0].get("/watches", params={"limit": 1000})).json()["items"]
        assert {one["id"] for one in left} == {
            one["id"] for one in watches if moment(one["recorded_at"]) > moment(erased_at)
        }

        told: list[Told] = []
        wanted = {one["id"] for one in [*left, *receipts]}
        while not wanted <= {one.id for one in told}:
            told += await take(source, 1)
        late = [one for one in told if one.kind == "created" and counts(one, erased_at)]
        assert {one.id for one in late} == {one["id"] for one in left}


def counts(one: Told, erased_at: str) -> bool:
    return moment(one.body["recorded_at"]) > moment(erased_at)


def moment(time: str) -> datetime:
    return datetime.fromisoformat(time)
