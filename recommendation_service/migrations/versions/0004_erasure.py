"""Add tombstones of erased users, and the recording time of learned watches."""

import sqlalchemy as sa
from alembic import op

from shared.database.database import UtcTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "erased_users",
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("erased_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_erased_users"),
    )
    op.add_column("learned_watches", sa.Column("recorded_at", UtcTime))
    erased_users = sa.Column("erased_users", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("model_state", erased_users)


def downgrade() -> None:
    op.drop_column("model_state", "erased_users")
    op.drop_column("learned_watches", "recorded_at")
    op.drop_table("erased_users")
