"""Composition root of the consumption service: the only module that knows all its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from fastapi import FastAPI

import consumption_service
from consumption_service.api.completions import router as completions
from consumption_service.api.dependencies import AppState
from consumption_service.api.erasures import router as erasures
from consumption_service.api.fast_path import RecordWatchHandler
from consumption_service.api.progress import router as progress
from consumption_service.api.watch_batches import router as batches
from consumption_service.api.watches import router as watches
from consumption_service.api.xapi import router as xapi
from consumption_service.consume.erasures import ErasureDoneConsumer
from consumption_service.permissions import PERMISSIONS
from consumption_service.publish.outbox_relay import OutboxRelay
from consumption_service.record.group_commit import GroupCommit
from consumption_service.retention import delete_old_keys
from consumption_service.settings import ConsumptionSettings
from shared.access.guard import Guard
from shared.broker.interface import Broker
from shared.broker.probe import refuse_to_start_if_refused
from shared.broker.topology import WATCH
from shared.database.database import open_database
from shared.database.migrate import migrate
from shared.database.retention import run_retention
from shared.http.app import create_app
from shared.http.health import database_check, health_routes, task_check
from shared.process.background import running

DRAIN_TIMEOUT: Final = 5.0  # seconds to publish what is in memory when the service stops
TITLE: Final = "Upnext consumption service"
DESCRIPTION: Final = "Records what is watched, and announces it on the exchange `watch`."


@asynccontextmanager
async def open_app(settings: ConsumptionSettings, broker: Broker) -> AsyncIterator[FastAPI]:
    """Open the service's parts, and close them at the end.

    Raises `CannotStart` when the database or the broker refuses. If the broker is only
    unavailable, the service starts: events wait in the outbox.
    """
    guard = Guard(settings, PERMISSIONS, settings.consumption_host)
    async with open_database(settings.consumption_database_url) as database:
        if settings.auto_migrate:
            await migrate(database, consumption_service)
        await refuse_to_start_if_refused(broker, WATCH)
        relay = OutboxRelay(database, broker, settings.max_outbox)
        group_commit = GroupCommit(database, relay, settings.max_waiting)
        retention = partial(delete_old_keys, database, settings.idempotency_retention_days)
        erasures_done = ErasureDoneConsumer(database)
        async with (
            running(relay.run(), "publish") as publishing,
            running(group_commit.run(), "commit") as committing,
            running(erasures_done.run(broker), "receipts") as completing,
            running(run_retention(retention), "retention"),
        ):
            app = create_app(settings, TITLE, DESCRIPTION, guard)
            app.state.consumption = state = AppState(settings, database, group_commit)
            app.state.fast_path.add(RecordWatchHandler(state, settings.max_body_bytes))
            app.state.metrics.add(group_commit.metrics, relay.metrics)
            for router in (watches, batches, progress, completions, erasures, xapi):
                app.include_router(router)
            health = health_routes(
                required={
                    "database": database_check(database),
                    "commits": task_check(committing),
                },
                optional={
                    "broker": task_check(publishing, lambda: relay.status.outage),
                    "receipts": task_check(completing, lambda: erasures_done.status.outage),
                },
            )
            app.include_router(health)
            yield app
            await relay.drain(DRAIN_TIMEOUT)
