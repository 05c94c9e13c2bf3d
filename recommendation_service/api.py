"""The HTTP side of the recommendation service: translates, and decides nothing."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool
from sqlalchemy import select

from recommendation_service import serve
from recommendation_service.answers import (
    Evaluation,
    EventsAnswer,
    FreshnessAnswer,
    Lessons,
    ModelAnswer,
    ParkedList,
    QueueAnswer,
    RatesAnswer,
    Recommendation,
    Recommendations,
    Redelivered,
    ReportAnswer,
    ScoredLesson,
    Stats,
    parked_message,
)
from recommendation_service.evaluate import RECENT_BLOCKS, report
from recommendation_service.follow import Follower
from recommendation_service.model.model import Window
from recommendation_service.model.rank import Scored
from recommendation_service.panel import Panel
from recommendation_service.park import count_parked, list_parked, retry_parked, take_parked
from recommendation_service.serve import Freshness, Item, Recommender, Strategy
from recommendation_service.settings import RecommendationSettings
from recommendation_service.tables import model_state
from shared.database import Database
from shared.events import MAX_INTEGER, LessonId, Natural, UserId, whole
from shared.problems import documented
from shared.strict_json import StrictJSONRoute

router = APIRouter(route_class=StrictJSONRoute)

PathId = Annotated[int, Field(ge=0, lt=MAX_INTEGER + 1)]
Limit = Annotated[int, Query(ge=1, le=100, description="How many lessons at most.")]
Excluded = Annotated[
    list[PathId],
    Query(max_length=1000, description="Lessons to leave out; repeat the parameter."),
]


class State:
    """What the routes work with; opened by the application."""

    def __init__(
        self,
        settings: RecommendationSettings,
        database: Database,
        follower: Follower,
        panel: Panel,
        recommender: Recommender,
    ) -> None:
        self.max_message_bytes = settings.max_message_bytes
        self.database = database
        self.follower = follower
        self.panel = panel
        self.recommender = recommender


async def state_of(request: Request) -> State:
    """Return what the application opened; not awaiting anything, but sparing a thread."""
    state: State = request.app.state.recommendation
    return state


Opened = Annotated[State, Depends(state_of)]


class Visit(BaseModel):
    """What a visitor without an id has watched."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"lesson_ids": [100, 7]}]}
    )

    lesson_ids: list[Natural[LessonId]] = Field(
        max_length=1000, description="Watched lessons, the last one last."
    )
    exclude: list[Natural[LessonId]] = Field(default=[], max_length=1000)
    limit: Annotated[int, Field(strict=True, ge=1, le=100), BeforeValidator(whole)] = 10
    explain: StrictBool = False


@router.get(
    "/users/{user_id}/recommendations",
    responses=documented(422, 503),
    tags=["recommendations"],
)
async def recommend_for_user(
    user_id: PathId,
    opened: Opened,
    limit: Limit = 10,
    exclude: Excluded = [],  # noqa: B006 - FastAPI copies it
    explain: bool = False,  # noqa: FBT001, FBT002 - a query parameter
) -> Recommendations:
    """Return lessons that the user has not met, best first; the popular ones for a new user."""
    request = serve.Request(limit, _lesson_ids(exclude), explain)
    # Before the history is read: what is learned meanwhile may not be in the answer.
    fresh = opened.recommender.freshness()
    items, strategy = await opened.recommender.for_user(UserId(user_id), request)
    return _recommendations(fresh, user_id, items, strategy)


@router.post("/recommendations", responses=documented(400, 413, 422), tags=["recommendations"])
async def recommend_for_visitor(visit: Visit, opened: Opened) -> Recommendations:
    """Return lessons for somebody who watched these, best first. Nothing is stored."""
    request = serve.Request(visit.limit, frozenset(visit.exclude), visit.explain)
    items = opened.recommender.for_visitor(visit.lesson_ids, request)
    fresh = opened.recommender.freshness()
    return _recommendations(fresh, None, items, "personal" if visit.lesson_ids else "popular")


@router.get("/lessons/popular", responses=documented(422), tags=["lessons"])
async def popular_lessons(
    opened: Opened,
    window: Annotated[Window, Query(description="How soon a watch is forgotten.")] = "7d",
    limit: Limit = 10,
    exclude: Excluded = [],  # noqa: B006 - FastAPI copies it
) -> Lessons:
    """Return the lessons that most users met lately; with a short window, what is trending."""
    return _lessons(opened.recommender.popular(window, serve.Request(limit, _lesson_ids(exclude))))


@router.get("/lessons/{lesson_id}/similar", responses=documented(422), tags=["lessons"])
async def similar_lessons(lesson_id: PathId, opened: Opened, limit: Limit = 10) -> Lessons:
    """Return the lessons that the same users meet, most similar first."""
    return _lessons(opened.recommender.similar(LessonId(lesson_id), limit))


@router.get("/lessons/{lesson_id}/next", responses=documented(422), tags=["lessons"])
async def next_lessons(lesson_id: PathId, opened: Opened, limit: Limit = 10) -> Lessons:
    """Return the lessons that users meet right after this one, most often first."""
    return _lessons(opened.recommender.next(LessonId(lesson_id), limit))


@router.get("/stats", responses=documented(503), tags=["operation"])
async def stats(opened: Opened) -> Stats:
    """Return the panel: the queue, its rates, what was learned, and how fresh it is."""
    async with opened.database.read() as connection:
        state = (await connection.execute(select(model_state))).one()
    panel, follower = opened.panel, opened.follower
    # What is counted as applied is known to the answers of this process, too.
    await follower.catch_up()
    return Stats(
        queue=QueueAnswer(
            ready=panel.ready, unacked=panel.unacked, total=panel.ready + panel.unacked
        ),
        rates=RatesAnswer.model_validate(panel.rates()),
        events=EventsAnswer(
            applied=state.applied,
            duplicates=state.duplicates,
            parked=await count_parked(opened.database),
        ),
        freshness_ms=FreshnessAnswer(p50=panel.freshness(50), p99=panel.freshness(99)),
        model=ModelAnswer(
            version=follower.version,
            fingerprint=f"{follower.model.fingerprint:032x}",
            lessons=follower.model.lessons,
        ),
    )


@router.get("/evaluation", responses=documented(503), tags=["operation"])
async def live_quality(opened: Opened) -> Evaluation:
    """Return how well real watches were predicted before they were learned."""
    everything = await report(opened.database)
    recent = await report(opened.database, RECENT_BLOCKS)
    return Evaluation(
        all_time=ReportAnswer.model_validate(everything),
        recent=ReportAnswer.model_validate(recent),
    )


@router.get("/parked", responses=documented(422, 503), tags=["operation"])
async def parked_messages(
    opened: Opened,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> ParkedList:
    """Return the messages that cannot be processed, with the reason, newest first."""
    found = await list_parked(opened.database, cursor, limit + 1)
    page = found[:limit]
    return ParkedList(
        items=[parked_message(message) for message in page],
        next_cursor=page[-1].id if len(found) > limit else None,
    )


@router.post(
    "/parked/{parked_id}/redeliver",
    responses=documented(404, 409, 422, 503),
    tags=["operation"],
)
async def redeliver_parked(parked_id: UUID, opened: Opened) -> Redelivered:
    """Try a parked message again, now. What still cannot be processed stays parked (409)."""
    async with opened.follower.turn:
        learned = await retry_parked(opened.database, parked_id, opened.max_message_bytes)
        await opened.follower.adopt(learned)
    return Redelivered(outcome="learned" if learned.fresh else "duplicate")


@router.delete(
    "/parked/{parked_id}", status_code=204, responses=documented(404, 422, 503), tags=["operation"]
)
async def discard_parked(parked_id: UUID, opened: Opened) -> None:
    """Discard a parked message for good."""
    async with opened.database.write() as connection:
        await take_parked(connection, parked_id)


def _lesson_ids(numbers: Sequence[int]) -> frozenset[LessonId]:
    return frozenset(LessonId(number) for number in numbers)


def _lessons(found: Sequence[Scored]) -> Lessons:
    return Lessons(items=[ScoredLesson.model_validate(one) for one in found])


def _recommendations(
    fresh: Freshness, user_id: int | None, items: Sequence[Item], strategy: Strategy
) -> Recommendations:
    return Recommendations(
        user_id=user_id,
        items=[Recommendation.model_validate(item) for item in items],
        applied_through=fresh.applied_through,
        lag_ms=fresh.lag_ms,
        strategy=strategy,
    )
