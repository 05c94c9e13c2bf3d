"""Dependencies of the routes: the application state."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from recommendation_service.evaluate.attribution import Impressions
from recommendation_service.replicate.model_replica import ModelReplica
from recommendation_service.serve.read_your_writes import ReadYourWrites
from recommendation_service.serve.recommender import Recommender
from recommendation_service.settings import RecommendationSettings
from recommendation_service.stats import LiveStats
from shared.broker.interface import Broker
from shared.database.database import Database


@dataclass(frozen=True, slots=True)
class AppState:
    """The parts of the application that routes use; `app.py` builds them."""

    settings: RecommendationSettings
    broker: Broker
    database: Database
    replica: ModelReplica
    stats: LiveStats
    recommender: Recommender
    read_your_writes: ReadYourWrites
    impressions: Impressions


async def app_state(request: HTTPConnection) -> AppState:
    """Return the application state; async, because FastAPI runs plain functions in threads."""
    state: AppState = request.app.state.recommendation
    return state


CurrentApp = Annotated[AppState, Depends(app_state)]
