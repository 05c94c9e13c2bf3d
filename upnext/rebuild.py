"""Rebuild: read all watches from the consumption service, and build the model again."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import httpx
from rich import print as show

from recommendation_service.event import Event
from recommendation_service.learn.rebuild import rebuild
from recommendation_service.settings import RecommendationSettings
from shared.database.database import open_database
from shared.errors import CannotStart
from shared.events import Kind
from shared.process.settings import read_settings
from upnext.credentials import credentials

PAGE: Final = 1000  # watches in one request


async def rebuild_model(consumption_url: str) -> None:
    """Rebuild the model, and show the result."""
    settings = read_settings(RecommendationSettings)
    async with open_database(
        settings.recommendation_database_url, statement_timeout=None
    ) as database:
        try:
            found = await rebuild(database, _pages(consumption_url))
        except httpx.HTTPError as error:
            raise CannotStart(f"{consumption_url} does not answer: {error}.") from None
    show(f"{found.watches:,} watches read, {found.missing:,} of them had not been learned")
    same = "the same model as before" if found.before == found.after else "another model"
    show(f"fingerprint {found.after}: {same}")


async def _pages(url: str) -> AsyncIterator[list[Event]]:
    query: dict[str, str | int] = {"limit": PAGE}
    async with httpx.AsyncClient(base_url=url, headers=credentials(), timeout=30) as client:
        while True:
            answer = (await client.get("/watches", params=query)).raise_for_status().json()
            yield [_event(watch) for watch in answer["items"]]
            if answer["next_cursor"] is None:
                return
            query["cursor"] = answer["next_cursor"]


def _event(watch: dict[str, Any]) -> Event:
    """Return the event that created the watch, with its present values."""
    watch_id = UUID(watch["id"])
    return Event(
        event_id=watch_id,
        kind=Kind.CREATED,
        watch_id=watch_id,
        user_id=watch["user_id"],
        lesson_id=watch["lesson_id"],
        position=watch["position"],
        duration=watch["duration"],
        occurred_at=datetime.fromisoformat(watch["occurred_at"]),
        reported_at=datetime.fromisoformat(watch["reported_at"]),
        recorded_at=datetime.fromisoformat(watch["recorded_at"]),
    )
