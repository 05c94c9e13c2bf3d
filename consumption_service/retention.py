"""Retention of idempotency keys: they protect a client's retries, which end some day."""

from datetime import timedelta

from consumption_service.tables import idempotency_keys
from shared.clock import utc_now
from shared.database.database import Database
from shared.database.retention import delete_where


async def delete_old_keys(database: Database, days: int) -> None:
    """Delete the keys that were first used more than `days` ago."""
    old = idempotency_keys.c.recorded_at < utc_now() - timedelta(days=days)
    await delete_where(database, idempotency_keys, old)
