"""Peer learning: one idempotent transaction for each message.

It does less than the product, which keeps histories and a model.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, DateTime, MetaData, Table, Uuid
from sqlalchemy.dialects.postgresql import Insert, insert

from shared.events import WatchEvent

metadata: Final = MetaData()

learned: Final = Table(
    "learned",
    metadata,
    Column("watch_id", Uuid, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("lesson_id", BigInteger, nullable=False),
    Column("met_at", DateTime(timezone=True), nullable=False),
)


def learning(event: WatchEvent) -> Insert:
    """Return the statement that learns an event once."""
    row = {
        "watch_id": event.watch_id,
        "user_id": event.user_id,
        "lesson_id": event.lesson_id,
        "met_at": event.occurred_at,
    }
    return insert(learned).values(row).on_conflict_do_nothing()
