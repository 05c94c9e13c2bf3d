"""Probes: how long after a 201 an answer knows the watch.

A user watches the first of their recommendations, and asks for the first ones that know it: `after`
the watch. The lesson has to be gone from them, and `applied_through` to have come as far.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, Final

from benchmarks.harness.client import Answer, Client
from benchmarks.harness.open_loop import CREATED
from shared.errors import CannotStart

PAUSE: Final = 0.02  # seconds between two probes
PATIENCE: Final = 30.0  # seconds
LONGEST: Final = 10_000  # milliseconds that one question may wait
FIRST_USER: Final = 1_000_000_000  # nobody else's
USERS: Final = 40
OK: Final = 200
NOT_YET: Final = 503


@dataclass
class Probe:
    """Looks, again and again, how fresh the answers are."""

    consumption: Client
    recommendation: Client
    first: int  # the position of the first watch
    delays: list[float] = field(default_factory=list)  # seconds
    too_early: int = 0  # answers that were to know the watch, and did not
    lists: dict[int, list[int]] = field(default_factory=dict)  # what each user got last

    async def run(self, until: float) -> None:
        """Probe until then."""
        while monotonic() < until:
            await self._look(FIRST_USER + len(self.delays) % USERS)
            await asyncio.sleep(PAUSE)

    async def _look(self, user: int) -> None:
        lessons = self.lists.get(user) or _lessons(await self._ask(user))
        if not lessons:
            raise CannotStart("There is nothing to recommend, so nothing can be seen to go.")
        position = self.first + len(self.delays)
        watch = {"user_id": user, "lesson_id": lessons[0], "position": position}
        answer = await self.consumption.post("/watches", watch)
        if answer.status != CREATED:
            raise CannotStart(f"A watch was answered with {answer.status}.")
        stored = monotonic()
        recorded_at = datetime.fromisoformat(answer.json["recorded_at"])
        found = await self._ask(user, f"?after={answer.json['id']}&wait_ms={LONGEST}")
        self.delays.append(monotonic() - stored)
        is_as_far = datetime.fromisoformat(found["applied_through"]) >= recorded_at
        self.lists[user] = _lessons(found)
        self.too_early += lessons[0] in self.lists[user] or not is_as_far

    async def _ask(self, user: int, query: str = "") -> dict[str, Any]:
        began = monotonic()
        path = f"/users/{user}/recommendations{query}"
        answer: Answer = await self.recommendation.get(path)
        while answer.status == NOT_YET and monotonic() < began + PATIENCE:
            answer = await self.recommendation.get(path)
        if answer.status != OK:
            raise CannotStart(f"Recommendations were answered with {answer.status}.")
        found: dict[str, Any] = answer.json
        return found


def _lessons(found: dict[str, Any]) -> list[int]:
    return [item["lesson_id"] for item in found["items"]]
