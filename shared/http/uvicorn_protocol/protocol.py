"""The protocol that serves each connection. To import this module needs no private part."""

import asyncio

from shared.http.fast_path import FastPath
from shared.process.settings import SharedSettings


def make_protocol(settings: SharedSettings, fast_path: FastPath) -> type[asyncio.Protocol]:
    """Return the protocol with these limits and this fast path; may fail unless `is_supported`."""
    from shared.http.uvicorn_protocol.limits import LimitedProtocol  # noqa: PLC0415 - it may fail

    return type("Connection", (LimitedProtocol,), {"settings": settings, "fast_path": fast_path})
