"""The tables of the recommendation service: what was learned, and what could not be learned.

The source of truth is `learned_watches`; the model is folded from `interactions`. Each process has
a replica of the model in memory, which follows the change log `model_changes`.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
)

from shared.database.database import UtcTime

metadata: Final = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_N_name)s"}
)

# The inbox: ids of the events that were learned lately. A duplicate changes nothing.
inbox: Final = Table(
    "inbox",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("learned_at", UtcTime, nullable=False),
    # For retention only. Rows come in order of time, so the smallest kind of index is enough.
    Index(None, "learned_at", postgresql_using="brin"),
)

# The latest state of each watch. A deleted watch stays as a row, so that an older event that
# arrives late does not bring it back.
learned_watches: Final = Table(
    "learned_watches",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("watch_id", Uuid, primary_key=True),
    Column("lesson_id", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("duration", BigInteger),
    Column("occurred_at", UtcTime, nullable=False),
    Column("reported_at", UtcTime, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("recorded_at", UtcTime),  # null: learned before this column existed
    Column("furthest", BigInteger),  # null: not reported; then it is the position
)

# Tombstones: when each user was erased. Watches recorded until then do not count.
erased_users: Final = Table(
    "erased_users",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("erased_at", UtcTime, nullable=False),
)

# Interactions: when each user first watched each lesson, by the watches that are not deleted. The
# database calls them meetings.
interactions: Final = Table(
    "meetings",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("lesson_id", BigInteger, primary_key=True, autoincrement=False),
    Column("met_at", UtcTime, nullable=False),
    Index(None, "user_id", "met_at", "lesson_id"),
    Index(None, "lesson_id", "met_at"),
)

# One row: how far learning has come. Its lock makes versions appear in their order.
model_state: Final = Table(
    "model_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("applied", BigInteger, nullable=False),
    Column("duplicates", BigInteger, nullable=False),
    Column("applied_through", UtcTime),
    Column("inbox_since", UtcTime),  # ids of events learned before may be deleted; null: none is
    Column("erased_users", BigInteger, nullable=False, server_default="0"),  # rows of the table
)

# The change log: what each version changed in the model. Old rows are deleted.
model_changes: Final = Table(
    "model_changes",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("change", LargeBinary, nullable=False),
    Column("applied_through", UtcTime),
    Column("learned_at", UtcTime, nullable=False),
)

# The weights that combine the model's counts. Unlike the counts they depend on the order in which
# events came, so they are kept apart. One row; null until something was learned.
model_weights: Final = Table(
    "model_weights",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("weights", LargeBinary),
)

# How well the next lessons were predicted: sums over blocks of events.
evaluation: Final = Table(
    "evaluation",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("events", BigInteger, nullable=False),
    Column("evaluated", BigInteger, nullable=False),
    Column("hits", BigInteger, nullable=False),
    Column("ndcg", Double, nullable=False),
    Column("mrr", Double, nullable=False),
    Column("popular_hits", BigInteger, nullable=False),
    Column("popular_ndcg", Double, nullable=False),
    Column("popular_mrr", Double, nullable=False),
)

# The catalogue. A deleted lesson stays as a row, so that an older description that arrives late
# does not bring it back.
lessons: Final = Table(
    "lessons",
    metadata,
    Column("lesson_id", BigInteger, primary_key=True, autoincrement=False),
    Column("title", Text),
    Column("duration", BigInteger),
    Column("course_id", BigInteger),
    Column("course_order", BigInteger),
    Column("tags", JSON, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("available_from", UtcTime),
    Column("available_until", UtcTime),
    Column("updated_at", UtcTime, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("known_since", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),  # of the catalogue, when the row changed last
    Index(None, "version"),
)

# One row: the version of the catalogue. Its lock makes versions appear in their order.
catalogue_state: Final = Table(
    "catalogue_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)

# Lessons that users hide.
hidden_lessons: Final = Table(
    "hidden_lessons",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("lesson_id", BigInteger, primary_key=True, autoincrement=False),
    Column("hidden_at", UtcTime, nullable=False),
)

# Impressions: the lessons that users were recommended, for a day; a sample while there are many.
served_lists: Final = Table(
    "served_lists",
    metadata,
    Column("id", Uuid, primary_key=True),  # UUIDv7: the order of ids is the order of age
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("served_at", UtcTime, nullable=False),
    Column("lesson_ids", JSON, nullable=False),
)

# One row: watches of users who got lists, and those of them that came from a list.
attribution: Final = Table(
    "attribution",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("watches", BigInteger, nullable=False),
    Column("from_lists", BigInteger, nullable=False),
)

# Messages that cannot be processed, with the reason.
parked: Final = Table(
    "parked",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("reason", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("message_id", Text),
    Column("exchange", Text, nullable=False, server_default="watch"),
    Column("routing_key", Text, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("parked_at", UtcTime, nullable=False),
)
