"""Dependencies of the routes: the application state."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request

from consumption_service.record.group_commit import GroupCommit
from consumption_service.settings import ConsumptionSettings
from shared.clock import utc_now
from shared.database.database import Database
from shared.errors import Invalid


class AppState:
    """What the routes share; opened by `open_app`."""

    def __init__(
        self, settings: ConsumptionSettings, database: Database, group_commit: GroupCommit
    ) -> None:
        self.max_clock_skew = timedelta(seconds=settings.max_clock_skew)
        self.completion_percent = settings.completion_percent
        self.database = database
        self.group_commit = group_commit

    def not_in_the_future(
        self, time: datetime | None, name: str = "body.occurred_at"
    ) -> datetime | None:
        """Return the time that a client sent, or raise `Invalid` if it is in the future."""
        if time and time > utc_now() + self.max_clock_skew:
            raise Invalid(f"{name}: {time.isoformat()} is in the future.")
        return time


async def app_state(request: Request) -> AppState:
    """Return the state. It is async, although it awaits nothing: FastAPI then needs no thread."""
    state: AppState = request.app.state.consumption
    return state


CurrentApp = Annotated[AppState, Depends(app_state)]
