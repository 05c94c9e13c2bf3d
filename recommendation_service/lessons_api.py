"""The routes about lessons."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from recommendation_service import serve
from recommendation_service.answers import Lessons, ScoredLesson
from recommendation_service.model.model import Window
from recommendation_service.model.rank import Scored
from recommendation_service.opened import Excluded, Limit, Opened, PathId, lesson_ids
from shared.events import LessonId
from shared.problems import documented
from shared.strict_json import StrictJSONRoute

router = APIRouter(tags=["lessons"], route_class=StrictJSONRoute)


@router.get("/lessons/popular", responses=documented(422))
async def popular_lessons(
    opened: Opened,
    window: Annotated[Window, Query(description="How soon a watch is forgotten.")] = "7d",
    limit: Limit = 10,
    exclude: Excluded = [],  # noqa: B006 - FastAPI copies it
) -> Lessons:
    """Return the lessons that most users met lately; with a short window, what is trending."""
    return _lessons(opened.recommender.popular(window, serve.Request(limit, lesson_ids(exclude))))


@router.get("/lessons/{lesson_id}/similar", responses=documented(422))
async def similar_lessons(lesson_id: PathId, opened: Opened, limit: Limit = 10) -> Lessons:
    """Return the lessons that the same users meet, most similar first."""
    return _lessons(opened.recommender.similar(LessonId(lesson_id), limit))


@router.get("/lessons/{lesson_id}/next", responses=documented(422))
async def next_lessons(lesson_id: PathId, opened: Opened, limit: Limit = 10) -> Lessons:
    """Return the lessons that users meet right after this one, most often first."""
    return _lessons(opened.recommender.next(LessonId(lesson_id), limit))


def _lessons(found: Sequence[Scored]) -> Lessons:
    return Lessons(items=[ScoredLesson.model_validate(one) for one in found])
