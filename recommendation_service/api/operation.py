"""The routes for operators: stats, evaluation, parked messages."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from recommendation_service.api.dependencies import CurrentApp
from recommendation_service.api.redeliver import redeliver
from recommendation_service.api.schemas import (
    AttributionAnswer,
    Evaluation,
    EventsAnswer,
    FreshnessAnswer,
    ModelAnswer,
    ParkedList,
    ParkedMessage,
    QueueAnswer,
    RatesAnswer,
    Redelivered,
    ReportAnswer,
    Stats,
    parked_message,
)
from recommendation_service.evaluate.attribution import read_attribution
from recommendation_service.evaluate.prequential import RECENT_BLOCKS, read_evaluation
from recommendation_service.learn.model_state import read_model_state
from recommendation_service.learn.parked_messages import (
    count_parked,
    find_parked,
    list_parked,
    pop_parked,
)
from shared.http.strict_json import StrictJSONRoute
from shared.problems import documented

router = APIRouter(tags=["operation"], route_class=StrictJSONRoute)


@router.get("/stats", responses=documented(503))
async def stats(app: CurrentApp) -> Stats:
    """Return live statistics: the queue, its message rates, the events learned, their freshness."""
    async with app.database.read() as connection:
        state = await read_model_state(connection)
    stats, replica = app.stats, app.replica
    # The answers of this process know the events that are counted as applied, too.
    await replica.catch_up()
    return Stats(
        queue=QueueAnswer(ready=stats.ready, unacked=stats.unacked, total=stats.backlog),
        rates=RatesAnswer.model_validate(stats.rates()),
        events=EventsAnswer(
            applied=state.applied,
            duplicates=state.duplicates,
            parked=await count_parked(app.database),
        ),
        freshness_ms=FreshnessAnswer(p50=stats.freshness_ms(50), p99=stats.freshness_ms(99)),
        model=ModelAnswer(
            version=replica.version,
            fingerprint=f"{replica.model.fingerprint:032x}",
            lessons=replica.model.lessons,
        ),
    )


@router.get("/evaluation", responses=documented(503))
async def live_quality(app: CurrentApp) -> Evaluation:
    """Return how well watches were predicted before being learned, and how many came from lists."""
    everything = await read_evaluation(app.database)
    recent = await read_evaluation(app.database, RECENT_BLOCKS)
    return Evaluation(
        all_time=ReportAnswer.model_validate(everything),
        recent=ReportAnswer.model_validate(recent),
        attribution=AttributionAnswer.model_validate(await read_attribution(app.database)),
    )


@router.get("/parked", responses=documented(422, 503))
async def parked_messages(
    app: CurrentApp,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> ParkedList:
    """Return the messages that cannot be processed, with the reason, newest first."""
    found = await list_parked(app.database, cursor, limit + 1)
    page = found[:limit]
    return ParkedList(
        items=[parked_message(message) for message in page],
        next_cursor=page[-1].id if len(found) > limit else None,
    )


@router.get("/parked/{parked_id}", responses=documented(404, 422, 503))
async def read_parked(parked_id: UUID, app: CurrentApp) -> ParkedMessage:
    """Return a parked message: why, when, how often it was tried, and what it says."""
    return parked_message(await find_parked(app.database, parked_id))


@router.post(
    "/parked/{parked_id}/redeliver",
    responses=documented(404, 409, 422, 503),
)
async def redeliver_parked(parked_id: UUID, app: CurrentApp) -> Redelivered:
    """Try a parked message again, now. What still cannot be processed stays parked (409)."""
    changed = await redeliver(app, parked_id)
    return Redelivered(outcome="learned" if changed else "duplicate")


@router.delete("/parked/{parked_id}", status_code=204, responses=documented(404, 422, 503))
async def discard_parked(parked_id: UUID, app: CurrentApp) -> None:
    """Discard a parked message for good."""
    async with app.database.write() as connection:
        await pop_parked(connection, parked_id)
