"""HTTP clients of tests: without certificates, which httpx would read for each client (20 ms).

They wait longer than httpx does by default: on a busy machine a response may take a while.
"""

from typing import Any, Final

import httpx

PATIENCE: Final = 100.0  # seconds that an answer may take
DEFAULTS: Final[dict[str, Any]] = {"verify": False, "timeout": PATIENCE}


def ask(url: str, **options: Any) -> httpx.Response:
    """Get the address, over a connection of its own."""
    with open_sync_client() as client:
        return client.get(url, **options)


def tell(url: str, body: object) -> httpx.Response:
    """Post the body to the address, as JSON."""
    with open_sync_client() as client:
        return client.post(url, json=body)


def open_sync_client(url: str = "", **options: Any) -> httpx.Client:
    """Return a client for a service at this address, that waits for each answer."""
    return httpx.Client(base_url=url, **DEFAULTS | options)


def open_client(url: str, **options: Any) -> httpx.AsyncClient:
    """Return a client for a service at this address."""
    return httpx.AsyncClient(base_url=url, **DEFAULTS | options)
