"""Create the inbox, learned watches, interactions, the model's change log and parked messages."""

import sqlalchemy as sa
from alembic import op

from shared.database.database import UtcTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "inbox",
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("learned_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_inbox"),
    )
    op.create_table(
        "learned_watches",
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("watch_id", sa.Uuid, nullable=False),
        sa.Column("lesson_id", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("duration", sa.BigInteger),
        sa.Column("occurred_at", UtcTime, nullable=False),
        sa.Column("reported_at", UtcTime, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "watch_id", name="pk_learned_watches"),
    )
    op.create_table(
        "meetings",
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("lesson_id", sa.BigInteger, nullable=False),
        sa.Column("met_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "lesson_id", name="pk_meetings"),
    )
    op.create_index(
        "ix_meetings_user_id_met_at_lesson_id", "meetings", ["user_id", "met_at", "lesson_id"]
    )
    op.create_index("ix_meetings_lesson_id_met_at", "meetings", ["lesson_id", "met_at"])
    op.create_table(
        "model_changes",
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("change", sa.LargeBinary, nullable=False),
        sa.Column("applied_through", UtcTime),
        sa.Column("learned_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_model_changes"),
    )
    op.create_table(
        "parked",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text),
        sa.Column("routing_key", sa.Text, nullable=False),
        sa.Column("headers", sa.JSON, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("parked_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_parked"),
    )
    state = op.create_table(
        "model_state",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("applied", sa.BigInteger, nullable=False),
        sa.Column("duplicates", sa.BigInteger, nullable=False),
        sa.Column("applied_through", UtcTime),
        sa.PrimaryKeyConstraint("id", name="pk_model_state"),
    )
    weights = op.create_table(
        "model_weights",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("weights", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_model_weights"),
    )
    op.create_table(
        "evaluation",
        sa.Column("block", sa.BigInteger, nullable=False),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("evaluated", sa.BigInteger, nullable=False),
        sa.Column("hits", sa.BigInteger, nullable=False),
        sa.Column("ndcg", sa.Double, nullable=False),
        sa.Column("mrr", sa.Double, nullable=False),
        sa.Column("popular_hits", sa.BigInteger, nullable=False),
        sa.Column("popular_ndcg", sa.Double, nullable=False),
        sa.Column("popular_mrr", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("block", name="pk_evaluation"),
    )
    op.bulk_insert(weights, [{"id": 1, "weights": None}])
    nothing = {"id": 1, "version": 0, "fingerprint": bytes(16), "applied": 0, "duplicates": 0}
    op.bulk_insert(state, [nothing])


def downgrade() -> None:
    tables = (
        "evaluation model_weights model_state parked model_changes meetings learned_watches inbox"
    )
    for table in tables.split():
        op.drop_table(table)
