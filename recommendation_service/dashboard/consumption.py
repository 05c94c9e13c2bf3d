"""The consumption service, as the page needs it: a few requests, passed on to one address.

So the page talks to where it came from, and to nobody else.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
from fastapi import Request, Response

from shared.errors import Unavailable

TIMEOUT: Final = 10.0  # seconds
LOOK_TIMEOUT: Final = 1.0  # seconds for it to say how it is
PASSED_ON: Final = ("Authorization", "X-API-Key", "X-Request-ID", "Content-Type")


class Consumption:
    """A client of the consumption service at this address."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url = url
        self._client = client

    async def pass_on(self, request: Request, path: str) -> Response:
        """Ask what the page asks, and answer what it answers."""
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        try:
            answer = await self._client.request(
                request.method,
                path,
                params=request.url.query,
                headers=headers,
                content=await request.body(),
            )
        except httpx.TransportError:
            message = f"The consumption service does not answer at {self.url}."
            raise Unavailable(message) from None
        kind = answer.headers.get("Content-Type")
        return Response(answer.content, answer.status_code, media_type=kind)

    async def health(self) -> dict[str, Any]:
        """Return how it is, by its own words where there are any."""
        try:
            answer = await self._client.get("/health/ready", timeout=LOOK_TIMEOUT)
            found: dict[str, Any] = answer.json()
        except (httpx.TransportError, ValueError):
            return {"status": "away", "parts": {"service": f"does not answer at {self.url}"}}
        return found


@asynccontextmanager
async def open_consumption(url: str) -> AsyncIterator[Consumption]:
    """Open connections to it as they are needed, and close them at the end."""
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=False) as client:
        yield Consumption(url, client)
