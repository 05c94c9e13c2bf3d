"""Index the inbox by age, store its start, and reset the weights for other features."""

import sqlalchemy as sa
from alembic import op

from shared.database.database import UtcTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("ix_inbox_learned_at", "inbox", ["learned_at"], postgresql_using="brin")
    op.add_column("model_state", sa.Column("inbox_since", UtcTime))
    # They belong to other features; the model soon learns better ones.
    op.execute("UPDATE model_weights SET weights = NULL")


def downgrade() -> None:
    op.drop_column("model_state", "inbox_since")
    op.drop_index("ix_inbox_learned_at", "inbox")
