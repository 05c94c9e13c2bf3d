"""Asking a service one thing, often: without certificates, which httpx reads for each client.

That takes 20 ms of the processor, many times what an answer takes.
"""

from typing import Any

import httpx


def ask(url: str, **options: Any) -> httpx.Response:
    """Get the address, over a connection of its own."""
    with httpx.Client(verify=False) as client:  # noqa: S501 - there is nothing to verify
        return client.get(url, **options)


def asking(url: str, **options: Any) -> httpx.AsyncClient:
    """Return a client for a service at this address."""
    return httpx.AsyncClient(base_url=url, verify=False, **options)  # noqa: S501 - see above
