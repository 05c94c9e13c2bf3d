"""Opened: what the routes of this service work with, and the parameters that several share."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import Field

from recommendation_service.follow import Follower
from recommendation_service.panel import Panel
from recommendation_service.serve import Recommender
from recommendation_service.settings import RecommendationSettings
from shared.database import Database
from shared.events import MAX_INTEGER, LessonId

PathId = Annotated[int, Field(ge=0, lt=MAX_INTEGER + 1)]
Limit = Annotated[int, Query(ge=1, le=100, description="How many lessons at most.")]
Excluded = Annotated[
    list[PathId],
    Query(max_length=1000, description="Lessons to leave out; repeat the parameter."),
]


class State:
    """What the routes work with; opened by the application."""

    def __init__(
        self,
        settings: RecommendationSettings,
        database: Database,
        follower: Follower,
        panel: Panel,
        recommender: Recommender,
    ) -> None:
        self.max_message_bytes = settings.max_message_bytes
        self.database = database
        self.follower = follower
        self.panel = panel
        self.recommender = recommender


async def state_of(request: Request) -> State:
    """Return what the application opened; not awaiting anything, but sparing a thread."""
    state: State = request.app.state.recommendation
    return state


Opened = Annotated[State, Depends(state_of)]


def lesson_ids(numbers: Sequence[int]) -> frozenset[LessonId]:
    """Return the lessons that a parameter names."""
    return frozenset(LessonId(number) for number in numbers)
