"""Completions: from which percentage on a lesson is finished, where that is not the usual one."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, select

from consumption_service.api import Body, Opened
from consumption_service.tables import completions
from shared.bulk import upsert_rows
from shared.errors import NotFound
from shared.events import MAX_INTEGER
from shared.problems import documented
from shared.strict_json import StrictJSONRoute

router = APIRouter(tags=["progress"], route_class=StrictJSONRoute)

LessonInPath = Annotated[int, Path(ge=0, lt=MAX_INTEGER + 1)]


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
async def set_completion(
    lesson_id: LessonInPath, body: Completion, opened: Opened
) -> LessonCompletion:
    """Set from which percentage on the lesson is finished, for all who watch it, at once."""
    async with opened.database.write() as connection:
        await upsert_rows(connection, completions, [(lesson_id, body.percent)])
    return LessonCompletion(lesson_id=lesson_id, percent=body.percent)


@router.get("/lessons/{lesson_id}/completion", responses=documented(404, 422, 503))
async def read_completion(lesson_id: LessonInPath, opened: Opened) -> LessonCompletion:
    """Return the lesson's own percentage; without one, `COMPLETION_PERCENT` holds."""
    query = select(completions.c.percent).where(completions.c.lesson_id == lesson_id)
    async with opened.database.read() as connection:
        percent = await connection.scalar(query)
    if percent is None:
        raise _none(lesson_id)
    return LessonCompletion(lesson_id=lesson_id, percent=percent)


@router.delete(
    "/lessons/{lesson_id}/completion", status_code=204, responses=documented(404, 422, 503)
)
async def delete_completion(lesson_id: LessonInPath, opened: Opened) -> None:
    """Return to the usual percentage."""
    query = delete(completions).where(completions.c.lesson_id == lesson_id)
    async with opened.database.write() as connection:
        if not (await connection.execute(query)).rowcount:
            raise _none(lesson_id)


def _none(lesson_id: int) -> NotFound:
    return NotFound(f"Lesson {lesson_id} has no percentage of its own.")
