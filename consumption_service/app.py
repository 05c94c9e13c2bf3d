"""The consumption service put together: the one place that knows all its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

import consumption_service
from consumption_service.announce import Announcer
from consumption_service.api import State, router
from consumption_service.commit import GroupCommit
from consumption_service.settings import ConsumptionSettings
from shared.background import ended, running
from shared.body_limit import BodyLimit
from shared.broker.interface import Broker
from shared.broker.probe import refuse_to_start_if_refused
from shared.broker.topology import WATCH
from shared.database import open_database
from shared.health import database_check, health_routes
from shared.migrate import migrate
from shared.problems import answer_with_problems

DRAIN_TIMEOUT: Final = 5.0  # seconds to publish what is in memory when the service stops


@asynccontextmanager
async def open_app(settings: ConsumptionSettings, broker: Broker) -> AsyncIterator[FastAPI]:
    """Open the service's parts, and close them at the end.

    Raises `CannotStart` when the database or the broker refuses. A broker that is merely away is
    no reason not to start: events wait in the outbox.
    """
    async with open_database(settings.consumption_database_url) as database:
        if settings.auto_migrate:
            await migrate(database, consumption_service)
        await refuse_to_start_if_refused(broker, WATCH)
        announcer = Announcer(database, broker)
        commits = GroupCommit(database, announcer, settings.max_waiting)
        async with (
            running(announcer.run(), "announce") as announcing,
            running(commits.run(), "commit") as committing,
        ):
            app = _create_app(settings, State(settings, database, commits))

            async def broker_state() -> str | None:
                return ended(announcing) or announcer.trouble

            async def commit_state() -> str | None:
                return ended(committing)

            required = {"database": database_check(database), "commits": commit_state}
            app.include_router(health_routes(required, {"broker": broker_state}))
            yield app
            await announcer.drain(DRAIN_TIMEOUT)


def _create_app(settings: ConsumptionSettings, state: State) -> FastAPI:
    app = FastAPI(
        title="Upnext consumption service",
        description="Records what is watched, and announces it on the exchange `watch`.",
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.consumption = state
    answer_with_problems(app)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.include_router(router)
    return app
