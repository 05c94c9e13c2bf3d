"""Health: whether the process runs, and whether it can do its work.

Live touches nothing, or an outage of the database would restart every process. Ready asks each
part, and says which one is missing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from shared.database.database import Database, DatabaseUnavailable

CHECK_TIMEOUT: Final = 1.0  # seconds a part has to answer

Check = Callable[[], Awaitable[str | None]]  # the answer is what is wrong, None when all is well


class Live(BaseModel):
    """The process runs."""

    status: Literal["live"] = "live"


class Ready(BaseModel):
    """Whether requests can be served, and each part's state in a sentence."""

    status: Literal["ready", "degraded", "unready"]
    parts: dict[str, str]


def health_routes(required: Mapping[str, Check], optional: Mapping[str, Check]) -> APIRouter:
    """Return the two routes. A missing optional part degrades the service, and keeps it ready."""
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("/live")
    async def live() -> Live:
        """Tell that the process runs."""
        return Live()

    @router.get("/ready", responses={503: {"model": Ready, "description": "Not ready"}})
    async def ready(response: Response) -> Ready:
        """Tell whether requests can be served, and what is missing."""
        answers = {name: await check() for name, check in {**required, **optional}.items()}
        parts = {name: answer or "ok" for name, answer in answers.items()}
        if any(answers[name] for name in required):
            response.status_code = 503
            return Ready(status="unready", parts=parts)
        degraded = any(answers[name] for name in optional)
        return Ready(status="degraded" if degraded else "ready", parts=parts)

    return router


def database_check(database: Database) -> Check:
    """Return the check that the database answers in time."""

    async def check() -> str | None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await database.ping()
        except (DatabaseUnavailable, TimeoutError) as outage:
            return f"does not answer: {outage}"
        return None

    return check


def task_check(work: asyncio.Task[None], trouble: Callable[[], str | None] = lambda: None) -> Check:
    """Return the check that background work goes on, and has nothing to complain of."""

    async def check() -> str | None:
        return "has ended, see the log" if work.done() else trouble()

    return check
