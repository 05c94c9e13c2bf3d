"""Emptied: a migrated database that knows nothing, whatever was in it."""

from types import ModuleType

from sqlalchemy import delete, update

import consumption_service
import recommendation_service
from consumption_service.tables import erasures, idempotency_keys, outbox, watches
from recommendation_service.tables import (
    erased_users,
    evaluation,
    inbox,
    interactions,
    learned_watches,
    model_changes,
    model_state,
    model_weights,
    parked,
)
from shared.database.database import Database
from shared.database.migrate import migrate

TABLES = {
    consumption_service: (erasures, idempotency_keys, outbox, watches),
    recommendation_service: (
        inbox,
        learned_watches,
        interactions,
        model_changes,
        evaluation,
        parked,
        erased_users,
    ),
}
NOTHING = {
    "version": 0,
    "fingerprint": bytes(16),
    "applied": 0,
    "duplicates": 0,
    "applied_through": None,
    "erased_users": 0,
}


async def empty(database: Database, service: ModuleType) -> None:
    """Make this the database of a service that was never used."""
    await migrate(database, service)
    async with database.write() as connection:
        for table in TABLES[service]:
            await connection.execute(delete(table))
        if service is recommendation_service:
            await connection.execute(update(model_state).values(NOTHING))
            await connection.execute(update(model_weights).values(weights=None))
