"""The tables of the consumption service: the watches, and the events not yet announced."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    String,
    Table,
    Text,
    Uuid,
)

from shared.database.database import UtcTime

metadata: Final = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_N_name)s"}
)

# The state of each watch. Ids are UUIDv7, so the newest watches are at the end of each index.
watches: Final = Table(
    "watches",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("lesson_id", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("duration", BigInteger),
    Column("occurred_at", UtcTime, nullable=False),
    Column("reported_at", UtcTime, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("furthest", BigInteger),  # null where nobody kept it yet: it is the position then
    Column("segments", JSON(none_as_null=True)),  # null where none were ever reported
    Column("unsegmented", BigInteger),  # beside segments: the furthest reported without any
    Index(None, "user_id", "id"),
    Index(None, "lesson_id", "id"),
)

# Which watch a client's key stands for, and a digest of what it asked for.
idempotency_keys: Final = Table(
    "idempotency_keys",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("watch_id", Uuid, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("user_id", BigInteger, index=True),
    # It only serves to forget. As rows come in order of time, the smallest kind of index will do.
    Index(None, "recorded_at", postgresql_using="brin"),
)

# Events that the broker has not confirmed. Committed with what they tell of; ids are UUIDv7, so
# the order of ids is the order of age.
outbox: Final = Table(
    "outbox",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("body", Text, nullable=False),
    # The user of the watch; none where a user was erased. Without an index, which each watch would
    # pay for: it serves an erasure only, and the table is small while the broker is there.
    Column("user_id", BigInteger),
    Column("traceparent", String(55)),  # of the request that it comes from, where that is traced
)

# From which percentage on a lesson counts as finished, where that is not the usual one.
completions: Final = Table(
    "completions",
    metadata,
    Column("lesson_id", BigInteger, primary_key=True, autoincrement=False),
    Column("percent", Integer, nullable=False),
)

# The receipts: who was erased when, and since when the recommendation service knows nothing either.
erasures: Final = Table(
    "erasures",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("erased_at", UtcTime, nullable=False),
    Column("recommendation_done_at", UtcTime),
)

# Only ever counted up, and not undone by a rollback: whoever finds the same number again knows that
# nobody was erased meanwhile.
erasure_epoch: Final = Sequence("erasures_so_far", metadata=metadata)

# Which watch the xAPI statements of a session are about.
xapi_sessions: Final = Table(
    "xapi_sessions",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("lesson_id", BigInteger, primary_key=True, autoincrement=False),
    Column("session", String(255), primary_key=True),
    Column("watch_id", Uuid, nullable=False),
)
