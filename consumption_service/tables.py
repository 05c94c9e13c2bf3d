"""The tables of the consumption service."""

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
    Column("furthest", BigInteger),  # null in old rows: it is the position then
    Column("segments", JSON(none_as_null=True)),  # null if none were reported
    Column("unsegmented", BigInteger),  # beside segments: the furthest reported without any
    Index(None, "user_id", "id"),
    Index(None, "lesson_id", "id"),
)

# The watch that a client's key stands for, and the digest of the command.
idempotency_keys: Final = Table(
    "idempotency_keys",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("watch_id", Uuid, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("user_id", BigInteger, index=True),
    # For retention only. As rows come in order of time, the smallest kind of index is enough.
    Index(None, "recorded_at", postgresql_using="brin"),
)

# Events that the broker has not confirmed, committed with the change that they report. Ids are
# UUIDv7, so the order of ids is the order of age.
outbox: Final = Table(
    "outbox",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("body", Text, nullable=False),
    # The user of the watch; null in the event of an erasure. No index: it would slow down
    # every watch. Only erasures search by it, and the table is small while the broker is available.
    Column("user_id", BigInteger),
    Column("traceparent", String(55)),  # of the request, where that is traced
)

# The percentage from which a lesson counts as finished, if it is not the default.
completions: Final = Table(
    "completions",
    metadata,
    Column("lesson_id", BigInteger, primary_key=True, autoincrement=False),
    Column("percent", Integer, nullable=False),
)

# The receipts of erasures, and when the recommendation service had erased the user, too.
erasures: Final = Table(
    "erasures",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("erased_at", UtcTime, nullable=False),
    Column("recommendation_done_at", UtcTime),
)

# The epoch rises with each erasure, and no rollback undoes that: a transaction that finds the same
# epoch as before knows that no user was erased in between.
erasure_epoch: Final = Sequence("erasures_so_far", metadata=metadata)

# The watch that the xAPI statements of a session concern.
xapi_sessions: Final = Table(
    "xapi_sessions",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("lesson_id", BigInteger, primary_key=True, autoincrement=False),
    Column("session", String(255), primary_key=True),
    Column("watch_id", Uuid, nullable=False),
)
