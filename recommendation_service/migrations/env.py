"""Alembic's entry point."""

from recommendation_service.tables import metadata
from shared.database.migrate import run_migrations

run_migrations(metadata, "recommendation")
