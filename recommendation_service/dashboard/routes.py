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
from recommendation_service.dashboard.live import Live
from recommendation_service.settings import RecommendationSettings
from shared.http.pages import Files, page
from shared.ids import LessonId
from shared.process.background import running

FILES: Final = Path(__file__).parent / "static"

router = APIRouter(include_in_schema=False)


class Page:
    """The parts of the dashboard that its routes use."""

    def __init__(self, live: Live, consumption: ConsumptionProxy) -> None:
        self.live = live
        self.consumption = consumption


async def current_page(request: Request) -> Page:
    """Return the parts of the dashboard."""
    dashboard_page: Page = request.app.state.dashboard
    return dashboard_page


CurrentPage = Annotated[Page, Depends(current_page)]


@router.get("/")
async def dashboard() -> FileResponse:
    """Return the HTML page."""
    return page(FILES / "index.html")


@router.get("/dashboard/events", response_class=EventSourceResponse)
async def events(dashboard_page: CurrentPage) -> AsyncIterator[ServerSentEvent]:
    """Send an update every second."""
    url = dashboard_page.consumption.url
    async for update in dashboard_page.live.updates():
        yield ServerSentEvent(data=update | {"consumption_url": url})


@router.get("/dashboard/titles")
async def titles(
    app: CurrentApp, lesson_id: Annotated[list[PathId], Query(max_length=200)]
) -> dict[int, str]:
    """Return the titles of those of the lessons that have one."""
    found = ((one, app.replica.catalogue.find(LessonId(one))) for one in lesson_id)
    return {one: state.lesson.title for one, state in found if state and state.lesson.title}


@router.api_route("/dashboard/watches", methods=["GET", "POST"])
async def watches(request: Request, dashboard_page: CurrentPage) -> Response:
    """Read or record watches, at the consumption service."""
    return await dashboard_page.consumption.forward(request, "/watches")


@router.get("/dashboard/users/{user_id}/continue-watching")
async def continue_watching(
    user_id: PathId, request: Request, dashboard_page: CurrentPage
) -> Response:
    """Return which lessons the user has begun, from the consumption service."""
    path = f"/users/{user_id}/continue-watching"
    return await dashboard_page.consumption.forward(request, path)


@asynccontextmanager
async def open_dashboard(app: FastAPI, settings: RecommendationSettings) -> AsyncIterator[None]:
    """Show the dashboard at `/` while the block lasts."""
    async with open_consumption(str(settings.consumption_url).rstrip("/")) as consumption:
        live = Live(app.state.recommendation, consumption, app.state.draining)
        app.state.dashboard = Page(live, consumption)
        app.include_router(router)
        app.mount("/dashboard/static", Files(FILES))
        async with running(live.run(), "dashboard"):
            yield
