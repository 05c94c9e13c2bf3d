"""What the services stored, read from their databases behind their backs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

TIMEOUT: Final = 60.0  # seconds

# What every user met, by the watches that were learned; it has to be what is stored as meetings.
MEETINGS: Final = """
    SELECT count(*) FROM (
        SELECT user_id, lesson_id, min(occurred_at) AS met_at
        FROM learned_watches WHERE NOT deleted GROUP BY user_id, lesson_id
    ) AS expected FULL JOIN meetings USING (user_id, lesson_id, met_at)
    WHERE expected.user_id IS NULL OR meetings.user_id IS NULL
"""
WAITING_FOR_A_LOCK: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
# What stays of an erased user: when that was.
OF_USERS: Final = """
    SELECT table_name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name = 'user_id'
    AND table_name NOT IN ('erasures', 'erased_users')
"""
UNFINISHED: Final = "SELECT count(*) FROM erasures WHERE recommendation_done_at IS NULL"
_ANY_OF: Final = "SELECT EXISTS (SELECT 1 FROM {table} WHERE user_id = ANY($1))"
TERMINATE: Final = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class LearnedBatch:
    """The recommendation service's tables."""

    inbox: frozenset[UUID]
    watches: dict[UUID, tuple[int, int]]  # the user and the lesson
    parked: int
    strays: int  # meetings that do not follow from the watches


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """Connect for the length of the block."""
    connection = await asyncpg.connect(url, timeout=TIMEOUT)
    try:
        yield connection
    finally:
        await connection.close(timeout=TIMEOUT)


async def outbox_size(consumption_database: str) -> int:
    """Return how many events the broker has not confirmed."""
    return int(await _value(consumption_database, "SELECT count(*) FROM outbox"))


async def inbox_of(recommendation_database: str) -> frozenset[UUID]:
    """Return the ids of the events that were learned."""
    return await _ids(recommendation_database, "SELECT event_id FROM inbox")


async def watches_in(consumption_database: str) -> frozenset[UUID]:
    """Return the ids of the watches that were recorded."""
    return await _ids(consumption_database, "SELECT id FROM watches")


async def outbox_of(consumption_database: str) -> frozenset[UUID]:
    """Return the ids of the events that the broker has not confirmed."""
    return await _ids(consumption_database, "SELECT event_id FROM outbox")


async def learned_at(recommendation_database: str) -> dict[UUID, datetime]:
    """Return when each event was learned."""
    async with connected(recommendation_database) as connection:
        rows = await connection.fetch("SELECT event_id, learned_at FROM inbox")
    return {UUID(bytes=row[0].bytes): row[1] for row in rows}


async def set_aside_in(recommendation_database: str) -> dict[UUID, str]:
    """Return which messages are parked, by the ids they are parked under.

    One can be there twice, when the process that parks is killed before its acknowledgement.
    """
    async with connected(recommendation_database) as connection:
        rows = await connection.fetch("SELECT id, message_id FROM parked")
    return {UUID(bytes=row[0].bytes): row[1] for row in rows}


async def _ids(url: str, query: str) -> frozenset[UUID]:
    # Made anew, because the driver's own kind of UUID is slow to compare.
    async with connected(url) as connection:
        return frozenset(UUID(bytes=row[0].bytes) for row in await connection.fetch(query))


async def learned_in(recommendation_database: str) -> LearnedBatch:
    """Return everything that was learned."""
    query = "SELECT watch_id, user_id, lesson_id FROM learned_watches"
    async with connected(recommendation_database) as connection:
        rows = await connection.fetch(query)
        return LearnedBatch(
            inbox=await inbox_of(recommendation_database),
            watches={UUID(bytes=row[0].bytes): (row[1], row[2]) for row in rows},
            parked=await connection.fetchval("SELECT count(*) FROM parked"),
            strays=await connection.fetchval(MEETINGS),
        )


async def tables_about(database: str, users: Sequence[int]) -> set[str]:
    """Return the tables that know anything of these users."""
    async with connected(database) as connection:
        tables = [row[0] for row in await connection.fetch(OF_USERS)]
        assert tables
        return {
            table
            for table in tables
            if await connection.fetchval(_ANY_OF.format(table=table), users)
        }


async def erased_in(recommendation_database: str) -> int:
    """Return how many users have a tombstone."""
    return int(await _value(recommendation_database, "SELECT count(*) FROM erased_users"))


async def unfinished_erasures(consumption_database: str) -> int:
    """Return how many receipts are not complete."""
    return int(await _value(consumption_database, UNFINISHED))


async def held_up(database: str) -> int:
    """Return how many transactions wait for a lock, those of clients that are gone included."""
    return int(await _value(database, WAITING_FOR_A_LOCK))


async def terminate_backends(database: str) -> int:
    """Cut off everybody who is connected, and return how many that were."""
    return int(await _value(database, TERMINATE))


async def make_read_only(database: str) -> None:
    """Do what a failover to a standby does: every new transaction can only read."""
    await _set(database, "SET default_transaction_read_only = on")
    await terminate_backends(database)


async def make_writable(database: str) -> None:
    """Let everybody write again."""
    await _set(database, "RESET default_transaction_read_only")
    await terminate_backends(database)


async def _set(database: str, what: str) -> None:
    async with connected(database) as connection:
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(f'ALTER DATABASE "{name}" {what}')


@asynccontextmanager
async def learning_held_up(recommendation_database: str) -> AsyncIterator[None]:
    """Hold the lock that every learning transaction begins with, while the block lasts."""
    async with connected(recommendation_database) as connection, connection.transaction():
        await connection.execute("SELECT * FROM model_state FOR UPDATE")
        yield


async def _value(url: str, query: str) -> Any:
    async with connected(url) as connection:
        return await connection.fetchval(query)
