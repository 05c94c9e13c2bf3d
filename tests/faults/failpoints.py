"""Failpoints: a service that can be told to die at any await of its own code, see `doom`."""

import random
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.faults.service import Service
from tests.support.eventually import eventually

RUNNER: Final = "tests.faults.kill_at_await"
NOWHERE: Final = "nowhere"
LEFTOVERS: Final = " _relay+"  # is at work only after a crash
ALIVE: Final = 10.0  # seconds until a point counts as one that is not passed again


class Failpoints:
    """The points of one service, which has to be started after this."""

    def __init__(self, service: Service, folder: Path) -> None:
        self._service = service
        self._seen = folder / f"{service.package}.seen"
        self._chosen = folder / f"{service.package}.point"
        service.module = [RUNNER, service.package]
        service.environment |= {"DOOM_SEEN": str(self._seen), "DOOM_AT": str(self._chosen)}

    def passed(self, words: str = "") -> list[str]:
        """Return the points that were passed so far whose description contains the words."""
        lines = self._seen.read_text().splitlines() if self._seen.exists() else []
        return sorted({line for line in lines if words in line})

    async def some_of(self, words: str, dice: random.Random) -> list[str]:
        """Return the points with these words, in any order, when one was passed."""

        def often_passed() -> list[str]:
            return [point for point in self.passed(words) if LEFTOVERS not in point]

        found = await eventually(often_passed)
        return dice.sample(found, len(found))

    async def die_at(self, point: str) -> bool:
        """Let the service die when it passes the point, and return whether it did.

        When it does not within some seconds, it will not afterwards.
        """
        await self._choose(point)
        with suppress(AssertionError):
            await eventually(self._is_dead, ALIVE)
        await self._choose(NOWHERE)
        if not self._is_dead():
            return False
        self._service.wait(1.0)
        return True

    async def _choose(self, point: str) -> None:
        """Choose the point, and wait until the service knows, unless it is dead."""
        self._chosen.write_text(point)
        self._service.signal(signal.SIGUSR1)
        await eventually(lambda: self._is_dead() or not self._chosen.exists())

    def _is_dead(self) -> bool:
        return not self._service.is_running()


def fatal_message(service: Service, text: str) -> None:
    """Let the service, which has to be started after this, die of every message with the text."""
    service.module = [RUNNER, service.package]
    service.environment["DOOM_MESSAGE"] = text


def harmless_again(service: Service) -> None:
    """Let it live from its next start on."""
    service.environment.pop("DOOM_MESSAGE")
