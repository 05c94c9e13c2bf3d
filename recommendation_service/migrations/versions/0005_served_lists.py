"""Add the recommended lists, and counts of the watches attributed to them."""

import sqlalchemy as sa
from alembic import op

from shared.database.database import UtcTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "served_lists",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("served_at", UtcTime, nullable=False),
        sa.Column("lesson_ids", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_served_lists"),
    )
    op.create_index("ix_served_lists_user_id", "served_lists", ["user_id"])
    attribution = op.create_table(
        "attribution",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("watches", sa.BigInteger, nullable=False),
        sa.Column("from_lists", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_attribution"),
    )
    op.bulk_insert(attribution, [{"id": 1, "watches": 0, "from_lists": 0}])


def downgrade() -> None:
    op.drop_table("attribution")
    op.drop_table("served_lists")
