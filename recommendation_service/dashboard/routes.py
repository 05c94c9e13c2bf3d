"""The routes of the dashboard. They are for the page, and may change with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from recommendation_service.api.dependencies import CurrentApp
from recommendation_service.api.parameters import PathId
from recommendation_service.dashboard.consumption import ConsumptionProxy, open_consumption
from recommendation_service.dashboard.live import LiveUpdates
from recommendation_service.settings import RecommendationSettings
from shared.http.pages import Files, page
from shared.ids import LessonId
from shared.process.background import running

FILES: Final = Path(__file__).parent / "static"

router = APIRouter(include_in_schema=False)


class DashboardState:
    """The parts of the dashboard that its routes use."""

    def __init__(self, live: LiveUpdates, consumption: ConsumptionProxy) -> None:
        self.live = live
        self.consumption = consumption


async def dashboard_state(request: Request) -> DashboardState:
    """Return the parts of the dashboard."""
    parts: DashboardState = request.app.state.dashboard
    return parts


CurrentDashboard = Annotated[DashboardState, Depends(dashboard_state)]


@router.get("/")
async def dashboard() -> FileResponse:
    """Return the HTML page."""
    return page(FILES / "index.html")


@router.get("/dashboard/events", response_class=EventSourceResponse)
async def events(parts: CurrentDashboard) -> AsyncIterator[ServerSentEvent]:
    """Send an update every second."""
    async for update in parts.live.updates():
        yield ServerSentEvent(data=update | {"consumption_url": parts.consumption.url})


@router.get("/dashboard/titles")
async def titles(
    app: CurrentApp, lesson_id: Annotated[list[PathId], Query(max_length=200)]
) -> dict[int, str]:
    """Return the titles of those of the lessons that have one."""
    found = ((one, app.replica.catalogue.find(LessonId(one))) for one in lesson_id)
    return {one: state.lesson.title for one, state in found if state and state.lesson.title}


@router.api_route("/dashboard/watches", methods=["GET", "POST"])
async def watches(request: Request, parts: CurrentDashboard) -> Response:
    """Read or record watches, at the consumption service."""
    return await parts.consumption.forward(request, "/watches")


@router.get("/dashboard/users/{user_id}/continue-watching")
async def continue_watching(user_id: PathId, request: Request, parts: CurrentDashboard) -> Response:
    """Return which lessons the user has started, from the consumption service."""
    return await parts.consumption.forward(request, f"/users/{user_id}/continue-watching")


@asynccontextmanager
async def open_dashboard(app: FastAPI, settings: RecommendationSettings) -> AsyncIterator[None]:
    """Show the dashboard at `/` while the block lasts."""
    async with open_consumption(str(settings.consumption_url).rstrip("/")) as consumption:
        live = LiveUpdates(app.state.recommendation, consumption, app.state.draining)
        app.state.dashboard = DashboardState(live, consumption)
        app.include_router(router)
        app.mount("/dashboard/static", Files(FILES))
        async with running(live.run(), "dashboard"):
            yield
