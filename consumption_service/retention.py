"""Retention: an idempotency key protects a client's retries, and no client retries for ever."""

from datetime import timedelta

from consumption_service.tables import idempotency_keys
from shared.clock import utc_now
from shared.database.database import Database
from shared.database.retention import delete_where


async def forget_keys(database: Database, days: int) -> None:
    """Forget the keys that were first used more than `days` ago."""
    old = idempotency_keys.c.recorded_at < utc_now() - timedelta(days=days)
    await delete_where(database, idempotency_keys, old)
