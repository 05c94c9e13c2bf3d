"""Asking a service one thing, often: without certificates, which httpx reads for each client.

That takes 20 ms of the processor, many times what an answer takes. And with more patience than
httpx has by itself: on a machine that is busy with other things an answer may take a while.
"""

from typing import Any, Final

import httpx

PATIENCE: Final = 100.0  # seconds that an answer may take
DEFAULTS: Final[dict[str, Any]] = {"verify": False, "timeout": PATIENCE}


def ask(url: str, **options: Any) -> httpx.Response:
    """Get the address, over a connection of its own."""
    with asking_in_turn() as client:
        return client.get(url, **options)


def tell(url: str, body: object) -> httpx.Response:
    """Post the body to the address, as JSON."""
    with asking_in_turn() as client:
        return client.post(url, json=body)


def asking_in_turn(url: str = "", **options: Any) -> httpx.Client:
    """Return a client for a service at this address, that waits for each answer."""
    return httpx.Client(base_url=url, **DEFAULTS | options)


def caller(url: str, **options: Any) -> httpx.AsyncClient:
    """Return a client for a service at this address."""
    return httpx.AsyncClient(base_url=url, **DEFAULTS | options)
