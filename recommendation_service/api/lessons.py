"""The routes of lists of lessons: popular ones, similar ones, next ones."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from recommendation_service.api.dependencies import CurrentApp
from recommendation_service.api.parameters import ListParameters, PathId
from recommendation_service.api.schemas import Lessons, ScoredLesson
from recommendation_service.model.model import Window
from recommendation_service.model.rank import RankedLesson
from shared.http.strict_json import StrictJSONRoute
from shared.ids import LessonId, UserId
from shared.problems import documented

router = APIRouter(tags=["lessons"], route_class=StrictJSONRoute)


class PopularParameters(ListParameters):
    """The query parameters of the popular lessons."""

    window: Window = Field(default="7d", description="How soon a watch is forgotten.")


class NextParameters(ListParameters):
    """The query parameters of the next lessons."""

    user_id: PathId | None = Field(default=None, description="For whom.")


@router.get("/lessons/popular", responses=documented(422))
async def popular_lessons(
    parameters: Annotated[PopularParameters, Query()], app: CurrentApp
) -> Lessons:
    """Return the lessons that most users met lately; with a short window, what is trending."""
    return _lessons(app.recommender.popular(parameters.window, parameters.request()))


@router.get("/lessons/{lesson_id}/similar", responses=documented(422))
async def similar_lessons(
    lesson_id: PathId, parameters: Annotated[ListParameters, Query()], app: CurrentApp
) -> Lessons:
    """Return the lessons that the same users meet, most similar first."""
    return _lessons(app.recommender.similar(LessonId(lesson_id), parameters.request()))


@router.get("/lessons/{lesson_id}/next", responses=documented(422, 503))
async def next_lessons(
    lesson_id: PathId, parameters: Annotated[NextParameters, Query()], app: CurrentApp
) -> Lessons:
    """Return what comes next in the course, then what users meet right after, most often first.

    With `user_id`, without what that user finished or hides.
    """
    lesson, request = LessonId(lesson_id), parameters.request()
    if parameters.user_id is None:
        return _lessons(app.recommender.next(lesson, request))
    user_id = UserId(parameters.user_id)
    return _lessons(await app.recommender.next_for_user(user_id, lesson, request))


def _lessons(found: Sequence[RankedLesson]) -> Lessons:
    return Lessons(items=[ScoredLesson.model_validate(one) for one in found])
