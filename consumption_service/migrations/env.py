"""Alembic's entry point."""

from consumption_service.tables import metadata
from shared.database.migrate import run_migrations

run_migrations(metadata, "consumption")
