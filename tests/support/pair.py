"""Both services in this process, on one set-up of database and broker, spoken to over HTTP."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from consumption_service.app import open_app as open_consumption
from consumption_service.settings import ConsumptionSettings
from recommendation_service.app import open_app as open_recommendation
from recommendation_service.settings import RecommendationSettings
from shared.broker.interface import Broker
from tests.support.eventually import eventually


@dataclass(frozen=True, slots=True)
class SetUp:
    """Where both services keep what they know, and how they talk."""

    consumption_database: str
    recommendation_database: str
    broker: Broker

    @asynccontextmanager
    async def consumption(self, **options: Any) -> AsyncGenerator[httpx.AsyncClient]:
        """A running consumption service."""
        settings = ConsumptionSettings(
            consumption_database_url=self.consumption_database, **options
        )
        async with open_consumption(settings, self.broker) as app, client_of(app) as client:
            yield client

    @asynccontextmanager
    async def recommendation(self, **options: Any) -> AsyncGenerator[httpx.AsyncClient]:
        """A running recommendation service."""
        settings = RecommendationSettings(
            recommendation_database_url=self.recommendation_database, **options
        )
        async with open_recommendation(settings, self.broker) as app, client_of(app) as client:
            yield client

    @asynccontextmanager
    async def both(self) -> AsyncGenerator["Pair"]:
        """Both services, running."""
        async with AsyncExitStack() as stack:
            recommendation = await stack.enter_async_context(self.recommendation())
            consumption = await stack.enter_async_context(self.consumption())
            yield Pair(consumption, recommendation)


@dataclass(frozen=True, slots=True)
class Pair:
    """Clients of both services."""

    consumption: httpx.AsyncClient
    recommendation: httpx.AsyncClient

    async def watch(self, user_id: int, *lesson_ids: int) -> list[str]:
        """Record watches of these lessons, in this order; return where they are."""
        places = []
        for lesson_id in lesson_ids:
            body = {"user_id": user_id, "lesson_id": lesson_id, "position": 314}
            answer = await self.consumption.post("/watches", json=body)
            assert answer.status_code == 201, answer.text
            places.append(answer.headers["Location"])
        return places

    async def recommended(self, user_id: int, **query: str | int | bool) -> list[dict[str, Any]]:
        """What is recommended to the user."""
        answer = await self.recommendation.get(f"/users/{user_id}/recommendations", params=query)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


async def stats_of(recommendation: httpx.AsyncClient) -> dict[str, Any]:
    """The panel of a recommendation service."""
    answer = await recommendation.get("/stats")
    assert answer.status_code == 200, answer.text
    stats: dict[str, Any] = answer.json()
    return stats


async def learned(recommendation: httpx.AsyncClient, count: int) -> dict[str, Any]:
    """Wait until this many events are learned, and return the panel."""

    async def enough() -> bool:
        return bool((await stats_of(recommendation))["events"]["applied"] >= count)

    await eventually(enough)
    stats = await stats_of(recommendation)
    assert stats["events"]["applied"] == count
    return stats


async def parked(recommendation: httpx.AsyncClient, count: int) -> list[dict[str, Any]]:
    """Wait until this many messages are parked, and return them, newest first."""
    items: list[dict[str, Any]] = []

    async def as_many() -> bool:
        items[:] = (await recommendation.get("/parked")).json()["items"]
        return len(items) == count

    await eventually(as_many)
    return items


def client_of(app: FastAPI) -> httpx.AsyncClient:
    """A client that speaks to the application without a network."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
