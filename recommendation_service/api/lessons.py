"""The routes about lessons: what goes with one, and what is popular."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from recommendation_service.api.dependencies import CurrentApp
from recommendation_service.api.parameters import Asked, PathId
from recommendation_service.api.schemas import Lessons, ScoredLesson
from recommendation_service.model.model import Window
from recommendation_service.model.rank import Scored
from shared.http.strict_json import StrictJSONRoute
from shared.ids import LessonId, UserId
from shared.problems import documented

router = APIRouter(tags=["lessons"], route_class=StrictJSONRoute)


class AskedOfPopular(Asked):
    """What the popular lessons are asked for with."""

    window: Window = Field(default="7d", description="How soon a watch is forgotten.")


class AskedOfNext(Asked):
    """What the next lessons are asked for with."""

    user_id: PathId | None = Field(default=None, description="For whom.")


@router.get("/lessons/popular", responses=documented(422))
async def popular_lessons(asked: Annotated[AskedOfPopular, Query()], app: CurrentApp) -> Lessons:
    """Return the lessons that most users met lately; with a short window, what is trending."""
    return _lessons(app.recommender.popular(asked.window, asked.request()))


@router.get("/lessons/{lesson_id}/similar", responses=documented(422))
async def similar_lessons(
    lesson_id: PathId, asked: Annotated[Asked, Query()], app: CurrentApp
) -> Lessons:
    """Return the lessons that the same users meet, most similar first."""
    return _lessons(app.recommender.similar(LessonId(lesson_id), asked.request()))


@router.get("/lessons/{lesson_id}/next", responses=documented(422, 503))
async def next_lessons(
    lesson_id: PathId, asked: Annotated[AskedOfNext, Query()], app: CurrentApp
) -> Lessons:
    """Return what comes next in the course, then what users meet right after, most often first.

    With `user_id`, without what that user finished or hides.
    """
    lesson, request = LessonId(lesson_id), asked.request()
    if asked.user_id is None:
        return _lessons(app.recommender.next(lesson, request))
    user_id = UserId(asked.user_id)
    return _lessons(await app.recommender.next_for_user(user_id, lesson, request))


def _lessons(found: Sequence[Scored]) -> Lessons:
    return Lessons(items=[ScoredLesson.model_validate(one) for one in found])
