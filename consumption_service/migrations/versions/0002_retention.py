"""Index idempotency keys by age, for retention."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index(
        "ix_idempotency_keys_recorded_at",
        "idempotency_keys",
        ["recorded_at"],
        postgresql_using="brin",
    )


def downgrade() -> None:
    op.drop_index("ix_idempotency_keys_recorded_at", "idempotency_keys")
