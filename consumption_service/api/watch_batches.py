"""Route that records a batch of watches, each with an outcome of its own."""

import logging
from typing import Annotated, Any, Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from consumption_service.api.dependencies import AppState, CurrentApp
from consumption_service.api.schemas import Body, NewWatch, WatchAnswer, to_command, watch_to_json
from consumption_service.record.commands import CommandResult, Create, Success
from shared.access.caller import Caller, CurrentCaller
from shared.errors import Forbidden, Invalid, ServiceError, Unavailable
from shared.http.strict_json import StrictJSONRoute
from shared.lessons import STORABLE
from shared.problems import Problem, documented, problem_of, reasons

log = logging.getLogger(__name__)

router = APIRouter(tags=["watches"], route_class=StrictJSONRoute)

MAX_WATCHES: Final = 1000
EXAMPLES: Final[list[JsonValue]] = [
    {"user_id": 42, "lesson_id": 100, "position": 314},
    {"user_id": 7, "lesson_id": 100, "position": 0, "idempotency_key": "a-1"},
]


class BatchWatch(NewWatch):
    """A watch to record, with what `Idempotency-Key` is for a single one."""

    idempotency_key: str | None = Field(
        default=None, min_length=1, max_length=255, pattern=STORABLE
    )


class Batch(Body):
    """Watches to record. Each item is validated by itself: an invalid one fails no others."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": EXAMPLES}]})

    items: list[Annotated[BatchWatch | Any, Field(union_mode="left_to_right")]] = Field(
        max_length=MAX_WATCHES
    )


class BatchOutcome(BaseModel):
    """The outcome of one watch: what `POST /watches` would have answered."""

    status: int = Field(description="201: recorded. 200: recorded before, under the same key.")
    watch: WatchAnswer | None = None
    problem: Problem | None = None


class BatchAnswer(BaseModel):
    """The outcomes, in the order of the watches."""

    items: list[BatchOutcome]


@router.post("/watches/batch", response_model=BatchAnswer, responses=documented(400, 413, 422, 503))
async def record_watches(body: Batch, app: CurrentApp, caller: CurrentCaller) -> Response:
    """Record up to 1,000 watches; each has an outcome of its own, and one that is bad fails alone.

    503 only if none of them could be recorded.
    """
    commands = [_command(item, app, caller) for item in body.items]
    valid = [command for command in commands if isinstance(command, Create)]
    recorded = iter(await app.group_commit.submit_many(valid))
    results = [next(recorded) if isinstance(one, Create) else one for one in commands]
    if results and all(isinstance(one, Unavailable) for one in results):
        raise Unavailable(str(results[0]))
    answer = b'{"items":[%b]}' % b",".join(map(_answer, results))
    return Response(answer, media_type="application/json")


def _command(item: object, app: AppState, caller: Caller) -> Create | ServiceError:
    try:
        watch = item if isinstance(item, BatchWatch) else BatchWatch.model_validate(item)
        caller.act_for(watch.user_id)
        return to_command(watch, watch.idempotency_key, app)
    except ValidationError as error:
        return Invalid(reasons(error.errors()))
    except (Forbidden, Invalid) as error:
        return error


def _answer(result: CommandResult | Exception) -> bytes:
    """Return the `BatchOutcome` as JSON."""
    if isinstance(result, Success):
        status = 201 if result.changed else 200
        return b'{"status":%d,"watch":%b}' % (status, watch_to_json(result.watch))
    if not isinstance(result, ServiceError):
        log.error("a watch of a batch cannot be recorded", exc_info=result)
    problem = problem_of(result)
    answer = BatchOutcome(status=problem.status, problem=problem)
    return answer.model_dump_json(exclude_unset=True).encode()
