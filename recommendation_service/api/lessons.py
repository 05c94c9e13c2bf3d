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

    window: Window = Field(
        default="7d", description="The half-life of a watch's weight; `all`: no decay."
    )


class NextParameters(ListParameters):
    """The query parameters of the next lessons."""

    user_id: PathId | None = Field(default=None, description="For whom.")


@router.get("/lessons/popular", responses=documented(422))
async def popular_lessons(
    parameters: Annotated[PopularParameters, Query()], app: CurrentApp
) -> Lessons:
    """Return the lessons that most users watched lately; with a short window, what is trending."""
    return _lessons(app.recommender.popular(parameters.window, parameters.request()))


@router.get("/lessons/{lesson_id}/similar", responses=documented(422))
async def similar_lessons(
    lesson_id: PathId, parameters: Annotated[ListParameters, Query()], app: CurrentApp
) -> Lessons:
    """Return the lessons that the same users watch, most similar first."""
    return _lessons(app.recommender.similar(LessonId(lesson_id), parameters.request()))


@router.get("/lessons/{lesson_id}/next", responses=documented(422, 503))
async def next_lessons(
    lesson_id: PathId, parameters: Annotated[NextParameters, Query()], app: CurrentApp
) -> Lessons:
    """Return the next lesson of the course, then the lessons that users watch right after.

    These come most frequent first. With `user_id`, lessons that the user finished or hides are left
    out.
    """
    lesson, request = LessonId(lesson_id), parameters.request()
    if parameters.user_id is None:
        return _lessons(app.recommender.next(lesson, request))
    user_id = UserId(parameters.user_id)
    return _lessons(await app.recommender.next_for_user(user_id, lesson, request))


def _lessons(found: Sequence[RankedLesson]) -> Lessons:
    return Lessons(items=[ScoredLesson.model_validate(one) for one in found])
