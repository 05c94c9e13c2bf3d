"""Routes of the completion percentages."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from consumption_service.api.dependencies import CurrentApp
from consumption_service.api.schemas import Body, PathId
from consumption_service.query.completions import delete_percent, find_percent, store_percent
from shared.http.strict_json import StrictJSONRoute
from shared.ids import LessonId
from shared.problems import documented

router = APIRouter(tags=["progress"], route_class=StrictJSONRoute)


class Completion(Body):
    """From when on a lesson counts as finished."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"percent": 80}]})

    percent: int = Field(strict=True, ge=1, le=100, description="Of the lesson's duration.")


class LessonCompletion(BaseModel):
    """From when on this lesson counts as finished."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"lesson_id": 100, "percent": 80}]})

    lesson_id: int
    percent: int


@router.put("/lessons/{lesson_id}/completion", responses=documented(400, 413, 422, 503))
async def set_completion(lesson_id: PathId, body: Completion, app: CurrentApp) -> LessonCompletion:
    """Set from which percentage on the lesson is finished, for all who watch it, at once."""
    await store_percent(app.database, LessonId(lesson_id), body.percent)
    return LessonCompletion(lesson_id=lesson_id, percent=body.percent)


@router.get("/lessons/{lesson_id}/completion", responses=documented(404, 422, 503))
async def read_completion(lesson_id: PathId, app: CurrentApp) -> LessonCompletion:
    """Return the lesson's own percentage; without one, `COMPLETION_PERCENT` holds."""
    percent = await find_percent(app.database, LessonId(lesson_id))
    return LessonCompletion(lesson_id=lesson_id, percent=percent)


@router.delete(
    "/lessons/{lesson_id}/completion", status_code=204, responses=documented(404, 422, 503)
)
async def delete_completion(lesson_id: PathId, app: CurrentApp) -> None:
    """Return to the usual percentage."""
    await delete_percent(app.database, LessonId(lesson_id))
