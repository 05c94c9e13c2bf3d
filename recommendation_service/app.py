"""The recommendation service put together: the one place that knows all its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from fastapi import FastAPI

import recommendation_service
from recommendation_service import api, catalogue_api, direct, lessons_api, operation_api
from recommendation_service.consume import Consumer, collect_dead_letters
from recommendation_service.evaluate import Evaluator
from recommendation_service.follow import Follower
from recommendation_service.measures import StoredMeasures, show_measures
from recommendation_service.opened import State
from recommendation_service.panel import Panel
from recommendation_service.retention import forget
from recommendation_service.rights import RIGHTS
from recommendation_service.serve import Recommender
from recommendation_service.settings import RecommendationSettings
from shared.access.guard import Guard
from shared.background import running
from shared.broker.interface import Broker
from shared.broker.probe import refuse_to_start_if_refused
from shared.broker.topology import RECOMMENDATION, WATCH
from shared.database import open_database
from shared.health import database_check, health_routes, trouble_check
from shared.migrate import migrate
from shared.retention import keep_forgetting
from shared.web import create_app

TITLE: Final = "Upnext recommendation service"
DESCRIPTION: Final = "Learns from the queue `recommendation.watch.*`, and recommends lessons."


@asynccontextmanager
async def open_app(settings: RecommendationSettings, broker: Broker) -> AsyncIterator[FastAPI]:
    """Open the service's parts, and close them at the end.

    Raises `CannotStart` when the database or the broker refuses. A broker that is merely away is
    no reason not to start: what is known can be served.
    """
    guard = Guard(settings, RIGHTS, settings.recommendation_host)
    async with open_database(settings.recommendation_database_url) as database:
        if settings.auto_migrate:
            await migrate(database, recommendation_service)
        await refuse_to_start_if_refused(broker, WATCH)
        follower, panel = Follower(database), Panel()
        await follower.load()
        evaluator = Evaluator(database, follower)
        consumer = Consumer(settings, database, follower, evaluator, panel)
        async with (
            running(follower.run(settings.follow_interval), "follow"),
            running(
                keep_forgetting(partial(forget, database, settings.inbox_retention_days)), "forget"
            ),
            running(consumer.run(broker), "consume") as consuming,
            running(collect_dead_letters(broker, database), "collect dead letters"),
            running(evaluator.run(), "evaluate"),
            running(panel.run(broker, RECOMMENDATION), "panel"),
        ):
            app = create_app(settings, TITLE, DESCRIPTION, guard)
            app.state.recommendation = State(
                settings,
                database,
                follower,
                panel,
                Recommender(database, follower, panel, settings.explore),
            )
            for routes in (direct, api, lessons_api, catalogue_api, operation_api):
                app.include_router(routes.router)
            show_measures(app.state.metrics, panel.measures, StoredMeasures(database, follower))
            optional = {"broker": trouble_check(consuming, lambda: consumer.trouble)}
            app.include_router(health_routes({"database": database_check(database)}, optional))
            await consumer.attempted.wait()  # with a broker, the queue is there from now on
            yield app
            await evaluator.save()
