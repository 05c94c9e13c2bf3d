"""Add the furthest position of each learned watch."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("learned_watches", sa.Column("furthest", sa.BigInteger))


def downgrade() -> None:
    op.drop_column("learned_watches", "furthest")
