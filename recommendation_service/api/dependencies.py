"""What the routes work with: the application state, as a FastAPI dependency."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from recommendation_service.evaluate.attribution import Served
from recommendation_service.replicate.model import Follower
from recommendation_service.serve.read_your_writes import Waiting
from recommendation_service.serve.recommender import Recommender
from recommendation_service.settings import RecommendationSettings
from recommendation_service.stats import Panel
from shared.broker.interface import Broker
from shared.database.database import Database


@dataclass(frozen=True, slots=True)
class State:
    """What the routes work with; opened by the application."""

    settings: RecommendationSettings
    broker: Broker
    database: Database
    follower: Follower
    panel: Panel
    recommender: Recommender
    waiting: Waiting
    served: Served


async def state_of(request: HTTPConnection) -> State:
    """Return what the application opened; not awaiting anything, but sparing a thread."""
    state: State = request.app.state.recommendation
    return state


Opened = Annotated[State, Depends(state_of)]
