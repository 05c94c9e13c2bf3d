"""Freshness probe: the delay between a 201 and recommendations that include the watch.

A user watches the first recommended lesson, and asks for recommendations `after` that watch. The
answer must no longer hold the lesson, and its `applied_through` must have reached the watch.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, Final

from benchmarks.harness.client import Answer, Client
from benchmarks.harness.open_loop import CREATED
from shared.errors import CannotStart

PROBE_INTERVAL: Final = 0.02  # seconds between two probes
READY_TIMEOUT: Final = 30.0  # seconds
MAX_WAIT_MS: Final = 10_000  # milliseconds
FIRST_USER: Final = 1_000_000_000  # not used by any load
USERS: Final = 40
OK: Final = 200
UNAVAILABLE: Final = 503


@dataclass
class FreshnessProbe:
    """Measures the freshness of answers again and again."""

    consumption: Client
    recommendation: Client
    first: int  # the position of the first watch
    delays: list[float] = field(default_factory=list)  # seconds
    too_early: int = 0  # answers without the watch that they were asked to include
    lists: dict[int, list[int]] = field(default_factory=dict)  # the last answer to each user

    async def run(self, until: float) -> None:
        """Probe until then."""
        while monotonic() < until:
            await self._probe_once(FIRST_USER + len(self.delays) % USERS)
            await asyncio.sleep(PROBE_INTERVAL)

    async def _probe_once(self, user: int) -> None:
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
        found = await self._ask(user, f"?after={answer.json['id']}&wait_ms={MAX_WAIT_MS}")
        self.delays.append(monotonic() - stored)
        is_as_far = datetime.fromisoformat(found["applied_through"]) >= recorded_at
        self.lists[user] = _lessons(found)
        self.too_early += lessons[0] in self.lists[user] or not is_as_far

    async def _ask(self, user: int, query: str = "") -> dict[str, Any]:
        began = monotonic()
        path = f"/users/{user}/recommendations{query}"
        answer: Answer = await self.recommendation.get(path)
        while answer.status == UNAVAILABLE and monotonic() < began + READY_TIMEOUT:
            answer = await self.recommendation.get(path)
        if answer.status != OK:
            raise CannotStart(f"Recommendations were answered with {answer.status}.")
        found: dict[str, Any] = answer.json
        return found


def _lessons(found: dict[str, Any]) -> list[int]:
    return [item["lesson_id"] for item in found["items"]]
