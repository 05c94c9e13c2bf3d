"""Migrate: bring the tables of both services to the newest version."""

from types import ModuleType

import consumption_service
import recommendation_service
from consumption_service.settings import ConsumptionSettings
from recommendation_service.settings import RecommendationSettings
from shared.database import migrate
from shared.database.database import open_database
from shared.process.settings import read_settings


async def migrate_both() -> None:
    """Upgrade both databases."""
    recording = read_settings(ConsumptionSettings)
    learning = read_settings(RecommendationSettings)
    await _upgrade(recording.consumption_database_url, consumption_service)
    await _upgrade(learning.recommendation_database_url, recommendation_service)


async def _upgrade(url: str, service: ModuleType) -> None:
    async with open_database(url, statement_timeout=None) as database:
        await migrate.migrate(database, service)
