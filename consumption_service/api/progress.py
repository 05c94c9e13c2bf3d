"""Routes of progress: of all lessons, and of those to continue."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from consumption_service.api.dependencies import AppState, CurrentApp
from consumption_service.api.schemas import PathId, QueryId
from consumption_service.query.progress import Keyset, LessonFilters, Progress, State, list_progress
from shared.errors import Invalid
from shared.http.strict_json import StrictJSONRoute
from shared.ids import MAX_INTEGER, LessonId, UserId
from shared.problems import documented

router = APIRouter(tags=["progress"], route_class=StrictJSONRoute)

UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)

Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[
    str | None, Query(pattern=r"^-?[0-9]{1,18}-[0-9]{1,19}$", description="A `next_cursor`.")
]
EXAMPLE: Final[dict[str, int | float | str]] = {
    "lesson_id": 100,
    "state": "started",
    "position": 314,
    "furthest_position": 314,
    "duration": 600,
    "percent": 52.3,
    "watched_seconds": 314,
    "plays": 1,
    "last_watched_at": "2026-11-23T10:05:14Z",
}


class LessonProgress(BaseModel):
    """How far a user came in a lesson."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [{**EXAMPLE}]})

    lesson_id: int
    state: State = Field(description="Once finished, watching again does not change it.")
    position: int = Field(description="Where to resume: of the latest report.")
    furthest_position: int = Field(description="The largest position that was ever reported.")
    duration: int | None = Field(description="The lesson's length in seconds, if it was reported.")
    percent: float | None = Field(
        description="Of the lesson's duration: the seconds watched where segments are reported, "
        "else the furthest position. Null without a duration."
    )
    watched_seconds: int | None = Field(
        description="Different seconds watched; null where no segments are reported."
    )
    plays: int = Field(description="How many watches there are.")
    last_watched_at: datetime


class ProgressList(BaseModel):
    """Lessons, the one watched last first. With `next_cursor`, there are more."""

    items: list[LessonProgress]
    next_cursor: str | None


@router.get("/users/{user_id}/progress", responses=documented(422, 503))
async def read_progress(  # noqa: PLR0913, PLR0917 - each is a parameter of the query
    user_id: PathId,
    app: CurrentApp,
    lesson_id: QueryId = None,
    state: State | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ProgressList:
    """Return how far a user came in each lesson, the one watched last first."""
    lesson = None if lesson_id is None else LessonId(lesson_id)
    filters = LessonFilters(UserId(user_id), limit, _keyset(cursor), lesson, state)
    return await _list(app, filters)


@router.get("/users/{user_id}/continue-watching", responses=documented(422, 503))
async def continue_watching(
    user_id: PathId, app: CurrentApp, cursor: Cursor = None, limit: Limit = 50
) -> ProgressList:
    """Return what a user started and did not finish, the one watched last first."""
    filters = LessonFilters(UserId(user_id), limit, _keyset(cursor), state=State.STARTED)
    return await _list(app, filters)


async def _list(app: AppState, filters: LessonFilters) -> ProgressList:
    # One more than the limit tells whether there is a next page.
    one_more = replace(filters, limit=filters.limit + 1)
    found = await list_progress(app.database, one_more, app.completion_percent)
    page = found[: filters.limit]
    return ProgressList(
        items=[LessonProgress.model_validate(one) for one in page],
        next_cursor=_cursor(page[-1]) if len(found) > len(page) else None,
    )


def _cursor(last: Progress) -> str:
    return f"{(last.last_watched_at - UNIX_EPOCH) // MICROSECOND}-{last.lesson_id}"


def _keyset(cursor: str | None) -> Keyset | None:
    if cursor is None:
        return None
    time, _, lesson_id = cursor.rpartition("-")
    try:
        return Keyset(UNIX_EPOCH + int(time) * MICROSECOND, min(int(lesson_id), MAX_INTEGER))
    except OverflowError:
        raise Invalid("query.cursor: is no cursor of such a list.") from None
