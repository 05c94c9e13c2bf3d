"""Stock: databases as they are after so many watches, made at once instead of one by one.

The fingerprint of the model is not computed: the recommendation service says so in its log when it
starts, and goes on.
"""

from datetime import UTC, datetime
from typing import Final

import asyncpg

import consumption_service
import recommendation_service
from benchmarks.harness.servers import Stage
from benchmarks.harness.wrk import LESSONS
from shared.database.database import open_database
from shared.database.migrate import migrate

# Watch after watch over 20 days, of users in turn; some lessons are watched much more often than
# others. The same numbers make the same watches in both databases.
WATCHES: Final = f"""
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

STORED: Final = f"""{WATCHES}
    INSERT INTO watches
        (id, user_id, lesson_id, position, duration, occurred_at, reported_at, recorded_at)
    SELECT id, user_id, lesson_id, n, NULL, at, at, at FROM watched
"""  # noqa: S608

LEARNED: Final = f"""{WATCHES}
    INSERT INTO learned_watches
        (user_id, watch_id, lesson_id, position, duration, occurred_at, reported_at, deleted)
    SELECT user_id, id, lesson_id, n, NULL, at, at, false FROM watched ORDER BY user_id, id
"""  # noqa: S608

REMEMBERED: Final = f"""{WATCHES}
    INSERT INTO inbox (event_id, learned_at) SELECT id, $3::timestamptz FROM watched
"""  # noqa: S608

MET: Final = f"""{WATCHES}
    INSERT INTO meetings (user_id, lesson_id, met_at)
    SELECT user_id, lesson_id, min(at) FROM watched
    GROUP BY user_id, lesson_id ORDER BY user_id, lesson_id
"""  # noqa: S608

STATE: Final = f"""{WATCHES}
    UPDATE model_state SET applied = $1::bigint, applied_through = (SELECT max(at) FROM watched)
"""  # noqa: S608

EPOCH: Final = datetime.now(UTC)  # when the last of them happened

INDEXES: Final = """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND indexname LIKE 'ix_%'
"""


async def stock(stage: Stage, watches: int, users: int) -> None:
    """Make the tables of both services, and fill them."""
    async with open_database(stage.consumption) as database:
        await migrate(database, consumption_service)
    await _fill(stage.consumption, [STORED], watches, users)
    await _stock(stage, [LEARNED, REMEMBERED, MET], watches, users)


async def stock_meetings(stage: Stage, watches: int, users: int) -> None:
    """Make the tables of the recommendation service, and fill those it answers from."""
    await _stock(stage, [MET], watches, users)


async def _stock(stage: Stage, statements: list[str], watches: int, users: int) -> None:
    async with open_database(stage.recommendation) as database:
        await migrate(database, recommendation_service)
    await _fill(stage.recommendation, [*statements, STATE], watches, users)


async def _fill(url: str, statements: list[str], watches: int, users: int) -> None:
    """Fill tables without their indexes, which are made again afterwards: that is much faster."""
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
