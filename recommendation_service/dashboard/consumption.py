"""Proxy of the consumption service: a few requests of the page, forwarded to one address.

So the page needs to reach no service but the one it came from.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
from fastapi import Request, Response

from shared.errors import Unavailable

TIMEOUT: Final = 10.0  # seconds
HEALTH_TIMEOUT: Final = 1.0  # seconds
FORWARDED: Final = ("Authorization", "X-API-Key", "X-Request-ID", "Content-Type")  # headers


class ConsumptionProxy:
    """A client of the consumption service at this address."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url = url
        self._client = client

    async def forward(self, request: Request, path: str) -> Response:
        """Forward the request to this path, and return the answer; `Unavailable` without one."""
        headers = {name: request.headers[name] for name in FORWARDED if name in request.headers}
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
        """Return the answer of its readiness check, or that it is away."""
        try:
            answer = await self._client.get("/health/ready", timeout=HEALTH_TIMEOUT)
            found: dict[str, Any] = answer.json()
        except (httpx.TransportError, ValueError):
            return {"status": "away", "parts": {"service": f"does not answer at {self.url}"}}
        return found


@asynccontextmanager
async def open_consumption(url: str) -> AsyncIterator[ConsumptionProxy]:
    """Open a client of the service at this address, and close its connections at the end."""
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=False) as client:
        yield ConsumptionProxy(url, client)
