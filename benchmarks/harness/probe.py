"""Probes: how long after a 201 an answer knows the watch.

A user is asked for recommendations, watches the first of them, and is asked again and again. The
answer knows the watch when the lesson is gone and `applied_through` has come as far.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, Final

from benchmarks.harness.client import Answer, Client
from benchmarks.harness.open_loop import CREATED
from shared.errors import CannotStart

GLANCE: Final = 0.002  # seconds between two questions
PAUSE: Final = 0.05  # seconds between two probes
PATIENCE: Final = 30.0  # seconds
FIRST_USER: Final = 1_000_000_000  # nobody else's
USERS: Final = 40
OK: Final = 200


@dataclass
class Probe:
    """Looks, again and again, how fresh the answers are."""

    consumption: Client
    recommendation: Client
    first: int  # the position of the first watch
    delays: list[float] = field(default_factory=list)  # seconds
    too_early: int = 0  # answers that said to know the watch, and did not

    async def run(self, until: float) -> None:
        """Probe until then."""
        while monotonic() < until:
            await self._look(FIRST_USER + len(self.delays) % USERS)
            await asyncio.sleep(PAUSE)

    async def _look(self, user: int) -> None:
        lessons = _lessons(await self._ask(user))
        if not lessons:
            raise CannotStart("There is nothing to recommend, so nothing can be seen to go.")
        position = self.first + len(self.delays)
        watch = {"user_id": user, "lesson_id": lessons[0], "position": position}
        answer = await self.consumption.post("/watches", watch)
        if answer.status != CREATED:
            raise CannotStart(f"A watch was answered with {answer.status}.")
        stored = monotonic()
        recorded_at = datetime.fromisoformat(answer.json["recorded_at"])
        await self._known(user, lessons[0], recorded_at, stored)
        self.delays.append(monotonic() - stored)

    async def _known(self, user: int, lesson: int, recorded_at: datetime, stored: float) -> None:
        while monotonic() < stored + PATIENCE:
            found = await self._ask(user)
            through = found["applied_through"]
            gone = lesson not in _lessons(found)
            if through and datetime.fromisoformat(through) >= recorded_at:
                if gone:
                    return
                self.too_early += 1
            await asyncio.sleep(GLANCE)
        raise CannotStart(f"A watch was not known after {PATIENCE:.0f} s.")

    async def _ask(self, user: int) -> dict[str, Any]:
        answer: Answer = await self.recommendation.get(f"/users/{user}/recommendations")
        if answer.status != OK:
            raise CannotStart(f"Recommendations were answered with {answer.status}.")
        found: dict[str, Any] = answer.json
        return found


def _lessons(found: dict[str, Any]) -> list[int]:
    return [item["lesson_id"] for item in found["items"]]
