"""Add the erasure epoch: the fencing token of the single-statement write path."""

from alembic import op
from sqlalchemy import Sequence
from sqlalchemy.schema import CreateSequence, DropSequence

revision = "0005"
down_revision = "0004"

ERASURES_SO_FAR = Sequence("erasures_so_far")


def upgrade() -> None:
    if op.get_bind().dialect.supports_sequences:
        op.execute(CreateSequence(ERASURES_SO_FAR))


def downgrade() -> None:
    if op.get_bind().dialect.supports_sequences:
        op.execute(DropSequence(ERASURES_SO_FAR))
