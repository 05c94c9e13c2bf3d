"""Composition root of the recommendation service: the only module that knows all its parts."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final, NamedTuple

from fastapi import FastAPI

import recommendation_service
from recommendation_service.api import (
    catalogue,
    hidden_lessons,
    lessons,
    operation,
    recommendations,
)
from recommendation_service.api.dependencies import AppState
from recommendation_service.api.fast_path import RecommendHandler
from recommendation_service.api.metrics import StoredMetrics
from recommendation_service.consume.dead_letters import collect_dead_letters
from recommendation_service.consume.lessons import LessonConsumer
from recommendation_service.consume.watches import Observers, WatchConsumer
from recommendation_service.dashboard.routes import open_dashboard
from recommendation_service.evaluate.attribution import Impressions
from recommendation_service.evaluate.prequential import Evaluator
from recommendation_service.learn.retention import delete_old
from recommendation_service.permissions import PERMISSIONS
from recommendation_service.replicate.model_replica import ModelReplica
from recommendation_service.serve.read_your_writes import ReadYourWrites
from recommendation_service.serve.recommender import Recommender
from recommendation_service.settings import RecommendationSettings
from recommendation_service.stats import LiveStats
from shared.access.guard import Guard
from shared.broker.interface import Broker
from shared.broker.probe import refuse_to_start_if_refused
from shared.broker.topology import (
    LESSON,
    RECOMMENDATION_LESSON_PARKED,
    RECOMMENDATION_WATCH,
    RECOMMENDATION_WATCH_PARKED,
    WATCH,
    hash_exchange,
)
from shared.database.database import Database, open_database
from shared.database.migrate import migrate
from shared.database.retention import run_retention
from shared.http.app import create_app
from shared.http.health import database_check, health_routes, task_check
from shared.process.background import running

TITLE: Final = "Upnext recommendation service"
DESCRIPTION: Final = "Learns from the queue `recommendation.watch.*`, and recommends lessons."


@asynccontextmanager
async def open_app(settings: RecommendationSettings, broker: Broker) -> AsyncIterator[FastAPI]:
    """Open the service's parts, and close them at the end.

    Raises `CannotStart` when the database or the broker refuses. If the broker is only
    unavailable, the service starts: it can serve what it has learned.
    """
    guard = Guard(settings, PERMISSIONS, settings.recommendation_host)
    async with open_database(settings.recommendation_database_url) as database:
        if settings.auto_migrate:
            await migrate(database, recommendation_service)
        await refuse_to_start_if_refused(broker, WATCH)
        if settings.partitions > 1:
            await refuse_to_start_if_refused(broker, hash_exchange(RECOMMENDATION_WATCH))
        parts = _parts(settings, broker, database)
        await parts.state.replica.load()
        async with AsyncExitStack() as stack:
            for work, name in _background(parts):
                _ = await stack.enter_async_context(running(work, name))
            consuming = await stack.enter_async_context(
                running(parts.consumer.run(broker), "consume")
            )
            app = await _web(parts, guard, consuming)
            async with open_dashboard(app, settings):
                yield app
            await parts.evaluator.save()


class _Parts(NamedTuple):
    state: AppState
    evaluator: Evaluator
    consumer: WatchConsumer
    lessons: LessonConsumer


def _parts(settings: RecommendationSettings, broker: Broker, database: Database) -> _Parts:
    replica, stats, impressions = ModelReplica(database), LiveStats(), Impressions(database)
    evaluator = Evaluator(database, replica, settings.evaluation_share)
    recommender = Recommender(database, replica, stats, settings.explore)
    waiting = ReadYourWrites(database, replica)
    state = AppState(settings, broker, database, replica, stats, recommender, waiting, impressions)
    observers = Observers(evaluator, impressions, stats)
    consumer = WatchConsumer(settings, database, replica, observers)
    return _Parts(state, evaluator, consumer, LessonConsumer(settings, database, replica))


def _background(parts: _Parts) -> Iterator[tuple[Coroutine[None, None, None], str]]:
    """Yield the loops that run beside the requests, and their names."""
    state = parts.state
    settings, broker, database = state.settings, state.broker, state.database
    forgetting = partial(delete_old, database, settings.inbox_retention_days)
    yield state.replica.run(settings.follow_interval), "follow"
    yield run_retention(forgetting), "forget"
    yield parts.lessons.run(broker), "consume lessons"
    for queue, exchange in (
        (RECOMMENDATION_WATCH_PARKED, WATCH),
        (RECOMMENDATION_LESSON_PARKED, LESSON),
    ):
        collecting = collect_dead_letters(broker, database, queue, exchange)
        yield collecting, f"collect dead letters of {exchange.name}"
    yield parts.evaluator.run(), "evaluate"
    yield state.read_your_writes.run(), "read your writes"
    yield state.impressions.run(), "save impressions"
    yield state.stats.run(broker, parts.consumer.queue), "sample the live stats"


async def _web(parts: _Parts, guard: Guard, consuming: asyncio.Task[None]) -> FastAPI:
    state, consumer = parts.state, parts.consumer
    app = create_app(state.settings, TITLE, DESCRIPTION, guard)
    app.state.recommendation = state
    app.state.fast_path.add(RecommendHandler(state))
    for routes in (recommendations, lessons, catalogue, hidden_lessons, operation):
        app.include_router(routes.router)
    stored = StoredMetrics(state.database, state.replica)
    app.state.metrics.add(state.stats.metrics, stored, refresh=stored.refresh)
    optional = {"broker": task_check(consuming, lambda: consumer.status.outage)}
    app.include_router(health_routes({"database": database_check(state.database)}, optional))
    await consumer.status.attempted.wait()  # with a broker, the queues exist from now on
    await parts.lessons.status.attempted.wait()
    return app
