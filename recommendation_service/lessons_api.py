"""The routes about lessons: lists that are the same for everybody."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from recommendation_service.answers import Lessons, ScoredLesson
from recommendation_service.model.model import Window
from recommendation_service.model.rank import Scored
from recommendation_service.opened import Asked, Opened, PathId
from shared.events import LessonId
from shared.problems import documented
from shared.strict_json import StrictJSONRoute

router = APIRouter(tags=["lessons"], route_class=StrictJSONRoute)


class AskedOfPopular(Asked):
    """What the popular lessons are asked for with."""

    window: Window = Field(default="7d", description="How soon a watch is forgotten.")


@router.get("/lessons/popular", responses=documented(422))
async def popular_lessons(asked: Annotated[AskedOfPopular, Query()], opened: Opened) -> Lessons:
    """Return the lessons that most users met lately; with a short window, what is trending."""
    return _lessons(opened.recommender.popular(asked.window, asked.request()))


@router.get("/lessons/{lesson_id}/similar", responses=documented(422))
async def similar_lessons(
    lesson_id: PathId, asked: Annotated[Asked, Query()], opened: Opened
) -> Lessons:
    """Return the lessons that the same users meet, most similar first."""
    return _lessons(opened.recommender.similar(LessonId(lesson_id), asked.request()))


@router.get("/lessons/{lesson_id}/next", responses=documented(422))
async def next_lessons(
    lesson_id: PathId, asked: Annotated[Asked, Query()], opened: Opened
) -> Lessons:
    """Return the lessons that users meet right after this one, most often first."""
    return _lessons(opened.recommender.next(LessonId(lesson_id), asked.request()))


def _lessons(found: Sequence[Scored]) -> Lessons:
    return Lessons(items=[ScoredLesson.model_validate(one) for one in found])
