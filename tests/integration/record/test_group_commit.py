"""Group commit: together when together, alone when alone, and nobody pays for a neighbour."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

import consumption_service
from consumption_service.event import OutboxEvent
from consumption_service.publish.outbox_relay import OutboxRelay
from consumption_service.record.commands import Create, Success
from consumption_service.record.erase import erase
from consumption_service.record.group_commit import GROUP_SIZE, GroupCommit
from consumption_service.record.timestamps import TICK
from consumption_service.tables import outbox, watches
from shared.broker.in_process import InProcessBroker
from shared.clock import utc_now
from shared.database.database import Database, open_database
from shared.database.migrate import migrate
from shared.errors import Unavailable
from shared.ids import LessonId, UserId
from shared.process.background import running
from tests.support.eventually import PATIENCE, within

A_WATCH = Create(UserId(42), LessonId(100), 314)
IMPOSSIBLE = replace(A_WATCH, position=2**70)  # no column holds it


def group_commit(database: Database, max_waiting: int = 1000) -> GroupCommit:
    relay = OutboxRelay(database, InProcessBroker(), max_outbox=10)
    return GroupCommit(database, relay, max_waiting)


async def count(database: Database) -> tuple[int, int]:
    """How many watches and how many events there are."""
    async with database.read() as connection:
        return (
            await connection.scalar(select(func.count()).select_from(watches)) or 0,
            await connection.scalar(select(func.count()).select_from(outbox)) or 0,
        )


async def test_requests_that_come_together_share_transactions(
    consumption_database: Database,
) -> None:
    commits: list[object] = []
    event.listen(consumption_database.engine.sync_engine, "commit", commits.append)
    group = group_commit(consumption_database)

    async with running(group.run(), "commit"):
        done = await asyncio.gather(*(group.submit(A_WATCH) for _ in range(200)))

    assert len({one.watch.id for one in done}) == 200
    assert await count(consumption_database) == (200, 200)
    assert len(commits) <= 3


@pytest.mark.usefixtures("good_clock_reading")
async def test_plain_watches_are_one_statement_that_commits_itself(
    consumption_database: Database,
) -> None:
    if consumption_database.is_sqlite:
        pytest.skip("SQLite has one transaction at a time")
    group, engine = group_commit(consumption_database), consumption_database.engine.sync_engine
    statements: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: object) -> None:
        statements.append(statement)

    async with running(group.run(), "commit"):
        await group.submit(A_WATCH)  # looks at the clock
        event.listen(engine, "before_cursor_execute", note)
        done = [await group.submit(A_WATCH) for _ in range(3)]

    assert len(statements) == 3
    times = [one.watch.recorded_at for one in done]
    assert times == sorted(set(times))
    assert await count(consumption_database) == (4, 4)


async def test_what_is_recorded_together_still_has_an_order(
    consumption_database: Database,
) -> None:
    group = group_commit(consumption_database)

    async with running(group.run(), "commit"):
        done = await asyncio.gather(*(group.submit(A_WATCH) for _ in range(600)))

    times = [one.watch.recorded_at for one in done]
    # Of two groups in flight together either may be first.
    groups = [times[at : at + GROUP_SIZE] for at in range(0, 600, GROUP_SIZE)]
    assert [time for one in sorted(groups) for time in one] == sorted(set(times))


async def test_groups_that_are_in_flight_together_share_no_time(
    consumption_database: Database,
) -> None:
    if consumption_database.is_sqlite:
        pytest.skip("SQLite has one transaction at a time")
    group, both_began = group_commit(consumption_database), asyncio.Event()
    began: list[datetime] = []

    async def work(_: AsyncConnection, now: datetime) -> tuple[datetime, list[OutboxEvent]]:
        began.append(now)
        if len(began) == 2:
            both_began.set()
        await within(both_began.wait())
        return now, []

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(group.transact(work, max_events=10**6) for _ in range(2)))

    earlier, later = sorted(began)
    assert later - earlier >= TICK * 10**6


async def test_what_is_recorded_after_an_erasure_is_later_than_it(
    consumption_database: Database,
) -> None:
    """Although the clock was set back since the user's last watch."""
    group = group_commit(consumption_database)
    ahead = utc_now() + timedelta(hours=1)

    async with running(group.run(), "commit"):
        watch = (await group.submit(A_WATCH)).watch
        async with consumption_database.write() as connection:
            await connection.execute(update(watches).values(recorded_at=ahead))
        erasure = await erase(consumption_database, group, watch.user_id)
        after = (await group.submit(A_WATCH)).watch

    assert after.recorded_at > erasure.erased_at == ahead


async def test_a_bad_row_does_not_fail_its_neighbours(consumption_database: Database) -> None:
    group = group_commit(consumption_database)
    commands = [A_WATCH] * 20
    commands[7] = IMPOSSIBLE

    async with running(group.run(), "commit"):
        outcomes = await asyncio.gather(
            *(group.submit(command) for command in commands), return_exceptions=True
        )

    assert [isinstance(one, Success) for one in outcomes] == [place != 7 for place in range(20)]
    assert await count(consumption_database) == (19, 19)


async def test_what_was_not_committed_is_not_answered(consumption_database: Database) -> None:
    group, engine = group_commit(consumption_database), consumption_database.engine.sync_engine

    def fail(_: object) -> None:
        raise OSError("it is cut off while it commits")

    event.listen(engine, "commit", fail)
    async with running(group.run(), "commit"):
        with pytest.raises(Unavailable):
            await group.submit(A_WATCH)
        event.remove(engine, "commit", fail)

    assert await count(consumption_database) == (0, 0)


async def test_a_file_that_has_no_room_takes_watches_again_when_it_has(
    sqlite_database: str,
) -> None:
    pages = 1  # SQLite takes it for as many as there are

    def limit(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    async with open_database(sqlite_database) as database:
        await migrate(database, consumption_service)
        event.listen(database.engine.sync_engine, "begin", limit)
        group = group_commit(database)
        async with running(group.run(), "commit"):
            full = await asyncio.gather(
                *(group.submit(A_WATCH) for _ in range(600)), return_exceptions=True
            )
            pages = 2**30
            await group.submit(A_WATCH)

        assert any(isinstance(one, Unavailable) for one in full)
        recorded = sum(isinstance(one, Success) for one in full) + 1
        assert await count(database) == (recorded, recorded)


async def test_a_request_that_goes_away_does_not_undo_its_command(
    consumption_database: Database,
) -> None:
    group = group_commit(consumption_database)
    waiting = asyncio.ensure_future(group.submit(A_WATCH))
    await asyncio.sleep(0)  # it is in the queue now, and nobody commits yet
    waiting.cancel()

    async with running(group.run(), "commit"):
        await group.submit(A_WATCH)

    assert await count(consumption_database) == (2, 2)


async def test_more_requests_than_may_wait_are_refused_at_once(
    consumption_database: Database,
) -> None:
    group = group_commit(consumption_database, max_waiting=2)
    waiting = [asyncio.ensure_future(group.submit(A_WATCH)) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(Unavailable):
        await group.submit(A_WATCH)

    async with running(group.run(), "commit"):
        await within(asyncio.gather(*waiting))
    assert await count(consumption_database) == (2, 2)
