"""Validate only: what FastAPI itself costs. The product's routes without their work.

The applications, their middleware, the models of requests and answers, and the server are the
product's own; only nothing is stored, published, learned or read.
"""

import os
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Response

from consumption_service.api.schemas import NewWatch, WatchAnswer
from consumption_service.event import Watch
from recommendation_service.api.parameters import PathId
from recommendation_service.api.recommendations import UserListParameters
from recommendation_service.api.schemas import Recommendation, Recommendations
from recommendation_service.serve.recommender import RecommendedLesson
from shared.access.guard import Guard
from shared.access.permissions import Permissions
from shared.clock import utc_now
from shared.http.app import create_app
from shared.http.server import Listener, serve
from shared.ids import LessonId
from shared.problems import documented
from shared.process.program import run_to_completion
from shared.process.settings import SharedSettings, read_settings
from shared.uuid7 import new_id

ITEMS: Final = [
    RecommendedLesson(LessonId(number), 1.0 / number, "popular") for number in range(1, 101)
]

router = APIRouter()


@router.post("/watches", status_code=201, responses=documented(400, 409, 413, 422, 503))
async def record_watch(
    body: NewWatch,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,  # noqa: ARG001
) -> WatchAnswer:
    """Answer as if the watch had been recorded."""
    now = utc_now()
    watch = Watch(
        id=new_id(),
        user_id=body.user_id,
        lesson_id=body.lesson_id,
        position=body.position,
        duration=body.duration,
        occurred_at=body.occurred_at or now,
        reported_at=body.occurred_at or now,
        recorded_at=now,
        furthest=body.position,
    )
    response.headers["Location"] = f"/watches/{watch.id}"
    return WatchAnswer.model_validate(watch)


@router.get("/users/{user_id}/recommendations", responses=documented(422, 503))
async def recommend_for_user(
    user_id: PathId, asked: Annotated[UserListParameters, Query()]
) -> Recommendations:
    """Answer the same lessons to everybody."""
    return Recommendations(
        user_id=user_id,
        items=[Recommendation.model_validate(item) for item in ITEMS[: asked.limit]],
        applied_through=utc_now(),
        lag_ms=0,
        strategy="popular",
    )


async def main() -> None:
    """Serve until a signal asks to stop."""
    settings = read_settings(SharedSettings)
    guard = Guard(settings, Permissions({}), "127.0.0.1")
    app = create_app(settings, "Validate only", "Stores nothing.", guard)
    app.include_router(router)
    await serve([Listener(app, "127.0.0.1", int(os.environ["CONSUMPTION_PORT"]))])


if __name__ == "__main__":
    run_to_completion(main())
