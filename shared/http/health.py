"""Health checks: liveness and readiness.

Liveness checks no part: else an outage of the database would restart every process. Readiness
checks each part, and names those that are missing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from shared.database.database import Database, DatabaseUnavailable

CHECK_TIMEOUT: Final = 1.0  # seconds for a part to answer

Check = Callable[[], Awaitable[str | None]]  # returns the problem; None: the part is healthy


class Live(BaseModel):
    """The process runs."""

    status: Literal["live"] = "live"


class Ready(BaseModel):
    """Whether requests can be served, and each part's state in a sentence."""

    status: Literal["ready", "degraded", "unready"]
    parts: dict[str, str]


def health_routes(required: Mapping[str, Check], optional: Mapping[str, Check]) -> APIRouter:
    """Return both routes. Without an optional part the service is degraded, but ready."""
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


def task_check(task: asyncio.Task[None], outage: Callable[[], str | None] = lambda: None) -> Check:
    """Return the check that the background task runs, and reports no outage."""

    async def check() -> str | None:
        return "has ended, see the log" if task.done() else outage()

    return check
