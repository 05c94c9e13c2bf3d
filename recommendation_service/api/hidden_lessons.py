"""The routes of hidden lessons."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel

from recommendation_service.api.dependencies import CurrentApp
from recommendation_service.api.parameters import PathId
from recommendation_service.api.schemas import FromAttributes
from recommendation_service.serve.hidden_lessons import add_hidden, read_hidden, remove_hidden
from shared.http.strict_json import StrictJSONRoute
from shared.ids import LessonId, UserId
from shared.problems import documented

router = APIRouter(tags=["users"], route_class=StrictJSONRoute)


class HiddenLesson(FromAttributes):
    """A lesson that a user hides."""

    lesson_id: int
    hidden_at: datetime


class HiddenLessons(BaseModel):
    """All lessons that a user hides, by id."""

    items: list[HiddenLesson]


@router.get("/users/{user_id}/hidden-lessons", responses=documented(422, 503))
async def list_hidden_lessons(user_id: PathId, app: CurrentApp) -> HiddenLessons:
    """Return the lessons that a user does not want to see."""
    async with app.database.read() as connection:
        found = await read_hidden(connection, UserId(user_id))
    return HiddenLessons(items=[HiddenLesson.model_validate(one) for one in found])


@router.put(
    "/users/{user_id}/hidden-lessons/{lesson_id}",
    status_code=204,
    responses=documented(409, 422, 503),
)
async def hide_lesson(user_id: PathId, lesson_id: PathId, app: CurrentApp) -> None:
    """Hide a lesson from a user ("not interested"): it is on no list for them. 1,000 at most."""
    await add_hidden(app.database, UserId(user_id), LessonId(lesson_id))


@router.delete(
    "/users/{user_id}/hidden-lessons/{lesson_id}",
    status_code=204,
    responses=documented(404, 422, 503),
)
async def show_lesson(user_id: PathId, lesson_id: PathId, app: CurrentApp) -> None:
    """Show a hidden lesson again."""
    await remove_hidden(app.database, UserId(user_id), LessonId(lesson_id))
