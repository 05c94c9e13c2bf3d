"""Open loop: Poisson arrivals at a given rate, whether or not earlier requests are answered.

Each latency counts from when the request was due (no coordinated omission).
"""

import asyncio
import random
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from benchmarks.harness.client import Client
from benchmarks.harness.wrk import LESSONS, USERS

TICK: Final = 0.002  # seconds; what is due by then is sent together
CREATED: Final = 201


@dataclass
class Arrivals:
    """Counts and latencies of the requests sent."""

    sent: int = 0
    answered: int = 0  # with 201
    failed: int = 0
    latencies: list[float] = field(default_factory=list)  # seconds
    finished: float = 0.0  # seconds until the last answer


async def post_watches(client: Client, rate: float, seconds: float, first: int) -> Arrivals:
    """Post watches at the rate; the first has this position, the next one more."""
    chance, arrivals = random.Random(first), Arrivals()  # noqa: S311 - a load, no secret
    began = monotonic()
    due = began
    async with asyncio.TaskGroup() as tasks:
        while (due := due + chance.expovariate(rate)) < began + seconds:
            if (ahead := due - monotonic()) > TICK:
                await asyncio.sleep(ahead)
            watch = {
                "user_id": chance.randrange(USERS),
                "lesson_id": int(chance.random() ** 2 * LESSONS) + 1,
                "position": first + arrivals.sent,
            }
            arrivals.sent += 1
            tasks.create_task(_post(client, watch, due, arrivals))
        await asyncio.sleep(max(0.0, began + seconds - monotonic()))
    arrivals.finished = monotonic() - began
    return arrivals


async def _post(client: Client, watch: dict[str, int], due: float, arrivals: Arrivals) -> None:
    try:
        answer = await client.post("/watches", watch)
    except OSError:
        arrivals.failed += 1
        return
    if answer.status == CREATED:
        arrivals.answered += 1
        arrivals.latencies.append(monotonic() - due)
    else:
        arrivals.failed += 1
