"""Lingering close: a refused connection that stays open for a moment to deliver its response."""

import asyncio
from typing import ClassVar, Final

from typing_extensions import override

LINGER: Final = 2.0  # seconds for a refused client to read the response and close
MAX_LINGERING: Final = 1000  # connections


class LingeringClose(asyncio.Protocol):
    """A refused connection: discards what it receives."""

    lingering: ClassVar[set["LingeringClose"]] = set()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lingering.discard(self)
