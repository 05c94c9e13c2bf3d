"""Routes of watches: record, read, list, report a position, delete."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response

from consumption_service.api.dependencies import CurrentApp
from consumption_service.api.schemas import (
    Heartbeat,
    NewWatch,
    QueryId,
    ReportAnswer,
    WatchAnswer,
    WatchList,
    to_command,
    to_segments,
)
from consumption_service.query.watches import WatchFilters, find_watch, list_watches
from consumption_service.record.commands import Delete, Report
from shared.access.caller import CurrentCaller
from shared.http.strict_json import StrictJSONRoute
from shared.problems import documented

router = APIRouter(tags=["watches"], route_class=StrictJSONRoute)

IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]


@router.post(
    "/watches",
    status_code=201,
    responses={
        200: {"model": WatchAnswer, "description": "Recorded before, under the same key"},
        **documented(400, 409, 413, 422, 503),
    },
)
async def record_watch(
    body: NewWatch,
    app: CurrentApp,
    caller: CurrentCaller,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> WatchAnswer:
    """Record a watch. With the same `Idempotency-Key`, the same request is recorded once (200)."""
    caller.act_for(body.user_id)
    result = await app.group_commit.submit(to_command(body, idempotency_key, app))
    if not result.changed:
        response.status_code = 200
    response.headers["Location"] = f"/watches/{result.watch.id}"
    return WatchAnswer.model_validate(result.watch)


@router.get("/watches/{watch_id:uuid}", responses=documented(404, 422, 503))
async def read_watch(watch_id: UUID, app: CurrentApp, caller: CurrentCaller) -> WatchAnswer:
    """Return a watch."""
    return WatchAnswer.model_validate(await find_watch(app.database, watch_id, caller.user_id))


@router.get("/watches", responses=documented(422, 503))
async def read_watches(  # noqa: PLR0913, PLR0917 - each is a parameter of the request
    app: CurrentApp,
    caller: CurrentCaller,
    user_id: QueryId = None,
    lesson_id: QueryId = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> WatchList:
    """Return the watches recorded last, newest first; with a user's token, only their own."""
    user_id = user_id if caller.user_id is None else caller.user_id
    # One more than the limit tells whether there is a next page.
    found = await list_watches(app.database, WatchFilters(user_id, lesson_id, cursor, limit + 1))
    page = found[:limit]
    next_cursor = page[-1].id if len(found) > limit else None
    items = [WatchAnswer.model_validate(watch) for watch in page]
    return WatchList(items=items, next_cursor=next_cursor)


@router.patch("/watches/{watch_id:uuid}", responses=documented(400, 404, 413, 422, 503))
async def report_position(
    watch_id: UUID, body: Heartbeat, app: CurrentApp, caller: CurrentCaller
) -> ReportAnswer:
    """Move a watch to a new position. A report older than the last one changes nothing."""
    occurred_at, segments = app.not_in_the_future(body.occurred_at), to_segments(body)
    report = Report(watch_id, body.position, occurred_at, segments, owner_id=caller.user_id)
    result = await app.group_commit.submit(report)
    outcome: Literal["applied", "stale"] = "applied" if result.changed else "stale"
    return ReportAnswer(**WatchAnswer.model_validate(result.watch).model_dump(), outcome=outcome)


@router.delete("/watches/{watch_id:uuid}", status_code=204, responses=documented(404, 422, 503))
async def delete_watch(watch_id: UUID, app: CurrentApp, caller: CurrentCaller) -> None:
    """Undo a watch, here and in the recommendations."""
    await app.group_commit.submit(Delete(watch_id, owner_id=caller.user_id))
