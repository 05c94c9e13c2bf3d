"""The routes of the catalogue of lessons."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recommendation_service.api.dependencies import AppState, CurrentApp
from recommendation_service.api.parameters import CourseFilter, PathId, TagFilter, labels_of
from recommendation_service.learn.lessons import LessonState, UpsertResult, deleted, upsert_lessons
from shared.errors import Invalid, NotFound
from shared.http.strict_json import StrictJSONRoute
from shared.ids import MAX_INTEGER, LessonId
from shared.lessons import EXAMPLE, Lesson, NamedLesson
from shared.problems import Problem, documented, problem_of, reasons

router = APIRouter(tags=["catalogue"], route_class=StrictJSONRoute)

MAX_LESSONS: Final = 1000


class LessonAnswer(NamedLesson):
    """A lesson as it is stored."""

    updated_at: datetime


class LessonList(BaseModel):
    """Lessons by id. With `next_cursor`, there are more."""

    items: list[LessonAnswer]
    next_cursor: int | None


class LessonBatch(BaseModel):
    """Lessons to store. Each item is validated by itself: an invalid one fails no others."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"items": [{"lesson_id": 100, **EXAMPLE}, {"lesson_id": 101}]}]
        },
    )

    items: list[Annotated[NamedLesson | Any, Field(union_mode="left_to_right")]] = Field(
        max_length=MAX_LESSONS
    )


class LessonOutcome(BaseModel):
    """The outcome of one lesson: what `PUT /lessons/{lesson_id}` would have answered."""

    status: int = Field(description="201: it is new. 200: it was there before.")
    lesson: LessonAnswer | None = None
    problem: Problem | None = None


class LessonBatchAnswer(BaseModel):
    """The outcomes, in the order of the lessons."""

    items: list[LessonOutcome]


class CatalogueParameters(BaseModel):
    """The query parameters of the catalogue."""

    tag: TagFilter = []
    course_id: CourseFilter = None
    cursor: int = Field(default=-1, ge=-1, lt=MAX_INTEGER + 1)
    limit: int = Field(default=50, ge=1, le=1000)


@router.get("/lessons", responses=documented(422, 503))
async def list_lessons(
    parameters: Annotated[CatalogueParameters, Query()], app: CurrentApp
) -> LessonList:
    """Return the lessons of the catalogue, by id, hidden ones among them."""
    catalogue, limit = app.replica.catalogue, parameters.limit
    await catalogue.catch_up()
    labels = labels_of(parameters.tag, parameters.course_id)
    found = catalogue.page(labels, parameters.cursor, limit + 1)
    page = found[:limit]
    return LessonList(
        items=[_answer(state) for state in page],
        next_cursor=page[-1].lesson_id if len(found) > limit else None,
    )


@router.get("/lessons/{lesson_id:number}", responses=documented(404, 422, 503))
async def read_lesson(lesson_id: PathId, app: CurrentApp) -> LessonAnswer:
    """Return what is known of a lesson."""
    catalogue = app.replica.catalogue
    await catalogue.catch_up()
    state = catalogue.find(LessonId(lesson_id))
    if state is None:
        raise _unknown(lesson_id)
    return _answer(state)


@router.put(
    "/lessons/{lesson_id:number}",
    responses=documented(400, 404, 413, 422, 503)
    | {201: {"model": LessonAnswer, "description": "It was not known before."}},
)
async def put_lesson(
    lesson_id: PathId, body: Lesson, app: CurrentApp, response: Response
) -> LessonAnswer:
    """Store what is known of a lesson. It replaces all that was known before."""
    [done] = await _describe(app, [LessonState(LessonId(lesson_id), body)])
    response.status_code = 200 if done.existed else 201
    return _answer(done.state)


@router.delete("/lessons/{lesson_id:number}", status_code=204, responses=documented(404, 422, 503))
async def delete_lesson(lesson_id: PathId, app: CurrentApp) -> None:
    """Delete a lesson. It is on no list any more, until it is stored again."""
    [done] = await _describe(app, [deleted(LessonId(lesson_id))])
    if not done.existed:
        raise _unknown(lesson_id)


@router.post(
    "/lessons/batch",
    response_model=LessonBatchAnswer,
    responses=documented(400, 413, 422, 503),
)
async def put_lessons(body: LessonBatch, app: CurrentApp) -> Response:
    """Store up to 1,000 lessons; each has an outcome of its own, one that is bad fails alone."""
    parsed = [_parse(item) for item in body.items]
    valid = [state for state in parsed if isinstance(state, LessonState)]
    done = iter(await _describe(app, valid) if valid else ())
    items = [_outcome(next(done) if isinstance(one, LessonState) else one) for one in parsed]
    answer = LessonBatchAnswer(items=items)
    return Response(answer.model_dump_json(exclude_unset=True), media_type="application/json")


async def _describe(app: AppState, states: Sequence[LessonState]) -> list[UpsertResult]:
    async with app.database.write() as connection:
        done = await upsert_lessons(app.database, connection, states)
    # From now on the answers of this process know them.
    await app.replica.catalogue.catch_up()
    return done


def _parse(item: object) -> LessonState | Invalid:
    try:
        named = item if isinstance(item, NamedLesson) else NamedLesson.model_validate(item)
    except ValidationError as error:
        return Invalid(reasons(error.errors()))
    return LessonState(named.lesson_id, named)


def _outcome(outcome: UpsertResult | Invalid) -> LessonOutcome:
    if isinstance(outcome, UpsertResult):
        status = 200 if outcome.existed else 201
        return LessonOutcome(status=status, lesson=_answer(outcome.state))
    return LessonOutcome(status=outcome.status, problem=problem_of(outcome))


def _answer(state: LessonState) -> LessonAnswer:
    content = {name: getattr(state.lesson, name) for name in Lesson.model_fields}
    stored = content | {"lesson_id": state.lesson_id, "updated_at": state.updated_at}
    return LessonAnswer.model_construct(None, **stored)


def _unknown(lesson_id: int) -> NotFound:
    return NotFound(f"The catalogue has no lesson {lesson_id}.")
