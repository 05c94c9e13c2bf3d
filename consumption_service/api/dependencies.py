"""What the routes work with: the application state, as a FastAPI dependency."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request

from consumption_service.record.group_commit import GroupCommit
from consumption_service.settings import ConsumptionSettings
from shared.clock import utc_now
from shared.database.database import Database
from shared.errors import Invalid


class State:
    """What the routes work with; opened by the application."""

    def __init__(
        self, settings: ConsumptionSettings, database: Database, commits: GroupCommit
    ) -> None:
        self.max_clock_skew = timedelta(seconds=settings.max_clock_skew)
        self.completion_percent = settings.completion_percent
        self.database = database
        self.commits = commits

    def believable(self, time: datetime | None, name: str = "body.occurred_at") -> datetime | None:
        """Return the time a client gave, or raise `Invalid` when it has not come yet."""
        if time and time > utc_now() + self.max_clock_skew:
            raise Invalid(f"{name}: {time.isoformat()} is in the future.")
        return time


async def state_of(request: Request) -> State:
    """Return what the application opened; not awaiting anything, but sparing a thread."""
    state: State = request.app.state.consumption
    return state


Opened = Annotated[State, Depends(state_of)]
