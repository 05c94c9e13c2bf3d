"""Prefill: databases that hold many watches already, filled by SQL.

The fingerprint of the model is not computed: the recommendation service logs that when it starts,
and goes on.
"""

from datetime import UTC, datetime
from typing import Final

import asyncpg

import consumption_service
import recommendation_service
from benchmarks.harness.servers import Environment
from benchmarks.harness.wrk import LESSONS
from shared.database.database import open_database
from shared.database.migrate import migrate

# Watches spread over 20 days and over all users; some lessons are watched much more often than
# others. The same parameters give the same watches in both databases.
WATCHED: Final = f"""
    WITH watched AS (
        SELECT
            n,
            ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id,
            1 + n % $2::bigint AS user_id,
            1 + floor((((hashint8(n) & 1048575) / 1048576.0) ^ 2) * {LESSONS})::bigint AS lesson_id,
            $3::timestamptz - interval '20 days' * (1 - n::float8 / $1::bigint) AS at
        FROM generate_series(0, $1::bigint - 1) AS n
    )
"""  # noqa: S608 - a number of our own

WATCHES: Final = f"""{WATCHED}
    INSERT INTO watches
        (id, user_id, lesson_id, position, duration, occurred_at, reported_at, recorded_at)
    SELECT id, user_id, lesson_id, n, NULL, at, at, at FROM watched
"""  # noqa: S608

LEARNED_WATCHES: Final = f"""{WATCHED}
    INSERT INTO learned_watches
        (user_id, watch_id, lesson_id, position, duration, occurred_at, reported_at, deleted)
    SELECT user_id, id, lesson_id, n, NULL, at, at, false FROM watched ORDER BY user_id, id
"""  # noqa: S608

INBOX: Final = f"""{WATCHED}
    INSERT INTO inbox (event_id, learned_at) SELECT id, $3::timestamptz FROM watched
"""  # noqa: S608

INTERACTIONS: Final = f"""{WATCHED}
    INSERT INTO meetings (user_id, lesson_id, met_at)
    SELECT user_id, lesson_id, min(at) FROM watched
    GROUP BY user_id, lesson_id ORDER BY user_id, lesson_id
"""  # noqa: S608

MODEL_STATE: Final = f"""{WATCHED}
    UPDATE model_state SET applied = $1::bigint, applied_through = (SELECT max(at) FROM watched)
"""  # noqa: S608

EPOCH: Final = datetime.now(UTC)  # the time of the last watch

INDEXES: Final = """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND indexname LIKE 'ix_%'
"""


async def prefill(environment: Environment, watches: int, users: int) -> None:
    """Create and fill the tables of both services."""
    async with open_database(environment.consumption) as database:
        await migrate(database, consumption_service)
    await _fill(environment.consumption, [WATCHES], watches, users)
    await _fill_tables(environment, [LEARNED_WATCHES, INBOX, INTERACTIONS], watches, users)


async def prefill_interactions(environment: Environment, watches: int, users: int) -> None:
    """Create the tables of the recommendation service, and fill those it answers from."""
    await _fill_tables(environment, [INTERACTIONS], watches, users)


async def _fill_tables(place: Environment, statements: list[str], watches: int, users: int) -> None:
    async with open_database(place.recommendation) as database:
        await migrate(database, recommendation_service)
    await _fill(place.recommendation, [*statements, MODEL_STATE], watches, users)


async def _fill(url: str, statements: list[str], watches: int, users: int) -> None:
    """Fill tables without indexes, and create these afterwards: that is much faster."""
    connection = await asyncpg.connect(url)
    indexes = await connection.fetch(INDEXES)
    for index in indexes:
        await connection.execute(f'DROP INDEX "{index["indexname"]}"')
    for statement in statements:
        await connection.execute(statement, watches, users, EPOCH)
    for index in indexes:
        await connection.execute(index["indexdef"])
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")  # else it happens while something is measured
    await connection.close()
