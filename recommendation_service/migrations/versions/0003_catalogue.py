"""Add the lesson catalogue, hidden lessons, and the origin of a parked message."""

import sqlalchemy as sa
from alembic import op

from shared.database.database import UtcTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "lessons",
        sa.Column("lesson_id", sa.BigInteger, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("duration", sa.BigInteger),
        sa.Column("course_id", sa.BigInteger),
        sa.Column("course_order", sa.BigInteger),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("available_from", UtcTime),
        sa.Column("available_until", UtcTime),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("known_since", UtcTime, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("lesson_id", name="pk_lessons"),
    )
    op.create_index("ix_lessons_version", "lessons", ["version"])
    state = op.create_table(
        "catalogue_state",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_catalogue_state"),
    )
    op.bulk_insert(state, [{"id": 1, "version": 0}])
    op.create_table(
        "hidden_lessons",
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("lesson_id", sa.BigInteger, nullable=False),
        sa.Column("hidden_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "lesson_id", name="pk_hidden_lessons"),
    )
    op.add_column("parked", sa.Column("exchange", sa.Text, nullable=False, server_default="watch"))


def downgrade() -> None:
    op.drop_column("parked", "exchange")
    for table in ("hidden_lessons", "catalogue_state", "lessons"):
        op.drop_table(table)
