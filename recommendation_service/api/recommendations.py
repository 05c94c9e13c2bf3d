"""The routes of recommendations, for a user and for a visitor."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from recommendation_service.api.dependencies import CurrentApp
from recommendation_service.api.parameters import ListParameters, PathId, labels_of
from recommendation_service.api.schemas import Recommendations
from recommendation_service.event import event_id_of
from recommendation_service.serve import recommender
from recommendation_service.serve.read_your_writes import ConsistencyToken
from recommendation_service.serve.recommender import Freshness, RecommendedLesson, Strategy
from shared.http.strict_json import StrictJSONRoute
from shared.ids import LessonId, Natural, UserId, integral_to_int
from shared.lessons import Tag
from shared.problems import documented

router = APIRouter(tags=["recommendations"], route_class=StrictJSONRoute)


class Visit(BaseModel):
    """What a visitor without an id has watched."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"lesson_ids": [100, 7]}]}
    )

    lesson_ids: list[Natural[LessonId]] = Field(
        max_length=1000, description="Watched lessons, the last one last."
    )
    exclude: list[Natural[LessonId]] = Field(default=[], max_length=1000)
    tags: list[Tag] = Field(default=[], max_length=100, description="All of them have to match.")
    course_id: Natural[int] | None = None
    limit: Annotated[int, Field(strict=True, ge=1, le=100), BeforeValidator(integral_to_int)] = 10
    explain: StrictBool = False


class UserListParameters(ListParameters):
    """The query parameters of a user's recommendations."""

    explain: bool = Field(
        default=False, description="With the watched lessons that influenced the score."
    )
    after: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        description="The id of a watch or an event of this user. The answer includes it, or the"
        " status is 503.",
        examples=["019ab2c4-7a10-7cc2-8d4e-0d6a5f1f2b3c"],
    )
    wait_ms: int = Field(
        default=1000,
        ge=0,
        le=10_000,
        description="Milliseconds to wait for the watch or event in `after`.",
    )


@router.get("/users/{user_id}/recommendations", responses=documented(422, 503))
async def recommend_for_user(
    user_id: PathId, parameters: Annotated[UserListParameters, Query()], app: CurrentApp
) -> Recommendations:
    """Return lessons that the user has not watched, best first; the popular ones for a new user."""
    request = parameters.request(explain=parameters.explain)
    if parameters.after is not None:
        token = ConsistencyToken(UserId(user_id), event_id_of(parameters.after))
        await app.read_your_writes.wait_until_applied(token, parameters.wait_ms / 1000)
    # Before the history is read: what is learned meanwhile may not be in the answer.
    fresh = app.recommender.freshness()
    items, strategy = await app.recommender.for_user(UserId(user_id), request)
    app.impressions.add_impression(UserId(user_id), (item.lesson_id for item in items))
    return _recommendations(fresh, user_id, items, strategy)


@router.post("/recommendations", responses=documented(400, 413, 422))
async def recommend_for_visitor(visit: Visit, app: CurrentApp) -> Recommendations:
    """Return lessons for somebody who watched these, best first. Nothing is stored."""
    labels = labels_of(visit.tags, visit.course_id)
    request = recommender.ListRequest(visit.limit, frozenset(visit.exclude), visit.explain, labels)
    items = app.recommender.for_visitor(visit.lesson_ids, request)
    fresh = app.recommender.freshness()
    return _recommendations(fresh, None, items, "personal" if visit.lesson_ids else "popular")


def _recommendations(
    fresh: Freshness, user_id: int | None, items: Sequence[RecommendedLesson], strategy: Strategy
) -> Recommendations:
    return Recommendations.model_validate(
        {
            "user_id": user_id,
            "items": items,
            "applied_through": fresh.applied_through,
            "lag_ms": fresh.lag_ms,
            "strategy": strategy,
        }
    )
