"""What the routes work with: the application state, as a FastAPI dependency."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from recommendation_service.evaluate.attribution import Served
from recommendation_service.replicate.model import ModelReplica
from recommendation_service.serve.read_your_writes import Waiting
from recommendation_service.serve.recommender import Recommender
from recommendation_service.settings import RecommendationSettings
from recommendation_service.stats import LiveStats
from shared.broker.interface import Broker
from shared.database.database import Database


@dataclass(frozen=True, slots=True)
class AppState:
    """What the routes work with; opened by the application."""

    settings: RecommendationSettings
    broker: Broker
    database: Database
    replica: ModelReplica
    stats: LiveStats
    recommender: Recommender
    waiting: Waiting
    served: Served


async def app_state(request: HTTPConnection) -> AppState:
    """Return what the application opened; not awaiting anything, but sparing a thread."""
    state: AppState = request.app.state.recommendation
    return state


CurrentApp = Annotated[AppState, Depends(app_state)]
