"""Add the progress and seen segments of watches, and the user of each row, for erasure."""

import sqlalchemy as sa
from alembic import op

from shared.database.database import UtcTime

revision = "0003"
down_revision = "0002"

# Rows already in the outbox need their user, too.
FIND_USERS = {
    "postgresql": "UPDATE outbox SET user_id = (body::json ->> 'user_id')::bigint",
    "sqlite": "UPDATE outbox SET user_id = json_extract(body, '$.user_id')",
}


def upgrade() -> None:
    # Old rows stay NULL, as `query/watches.py` expects: a default would rewrite the whole table.
    op.add_column("watches", sa.Column("furthest", sa.BigInteger))
    op.add_column("watches", sa.Column("segments", sa.JSON))
    op.add_column("watches", sa.Column("unsegmented", sa.BigInteger))
    op.add_column("outbox", sa.Column("user_id", sa.BigInteger))
    op.execute(FIND_USERS[op.get_bind().dialect.name])
    op.add_column("idempotency_keys", sa.Column("user_id", sa.BigInteger))
    op.execute(
        "UPDATE idempotency_keys SET user_id = "
        "(SELECT user_id FROM watches WHERE watches.id = idempotency_keys.watch_id)"
    )
    op.create_index("ix_idempotency_keys_user_id", "idempotency_keys", ["user_id"])
    op.create_table(
        "completions",
        sa.Column("lesson_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("percent", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("lesson_id", name="pk_completions"),
    )
    op.create_table(
        "erasures",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("erased_at", UtcTime, nullable=False),
        sa.Column("recommendation_done_at", UtcTime),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
    )
    op.create_table(
        "xapi_sessions",
        sa.Column("user_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("lesson_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("session", sa.String(255), nullable=False),
        sa.Column("watch_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "lesson_id", "session", name="pk_xapi_sessions"),
    )


def downgrade() -> None:
    op.drop_table("xapi_sessions")
    op.drop_table("erasures")
    op.drop_table("completions")
    op.drop_index("ix_idempotency_keys_user_id", "idempotency_keys")
    op.drop_column("idempotency_keys", "user_id")
    op.drop_column("outbox", "user_id")
    op.drop_column("watches", "unsegmented")
    op.drop_column("watches", "segments")
    op.drop_column("watches", "furthest")
