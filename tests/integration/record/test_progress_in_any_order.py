"""Progress is a matter of what was reported, not of when it came, and never goes back."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import AsyncExitStack
from itertools import count, pairwise
from typing import Any, NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.broker.in_process import InProcessBroker
from tests.support.pair import SetUp

DURATION = 20
AT = "2026-01-01T00:00:{:02}Z".format

Segments = list[tuple[int, int]]


class Report(NamedTuple):
    """What a player says of one of two watches of a lesson."""

    watch: int
    at: int
    position: int
    segments: Segments | None


class Service:
    """A consumption service in a loop that turns while a request is answered."""

    def __init__(self, runner: asyncio.Runner, client: httpx.AsyncClient) -> None:
        self._runner = runner
        self._client = client
        self._users = count()

    def tell(self, starts: Sequence[int], reports: Sequence[Report]) -> list[dict[str, Any]]:
        """Begin two watches, and send the reports; the progress after each."""
        return self._runner.run(self._tell(next(self._users), starts, reports))

    async def _tell(
        self, user_id: int, starts: Sequence[int], reports: Sequence[Report]
    ) -> list[dict[str, Any]]:
        body = {"user_id": user_id, "lesson_id": 1, "duration": DURATION, "occurred_at": AT(0)}
        places = []
        for position in starts:
            answer = await self._client.post("/watches", json={**body, "position": position})
            places.append(answer.headers["Location"])
        after = [await self._progress(user_id)]
        for report in reports:
            said = {"position": report.position, "occurred_at": AT(report.at)}
            if report.segments is not None:
                said["segments"] = report.segments
            answer = await self._client.patch(places[report.watch], json=said)
            assert answer.status_code == 200, answer.text
            after.append(await self._progress(user_id))
        return after

    async def _progress(self, user_id: int) -> dict[str, Any]:
        answer = await self._client.get(f"/users/{user_id}/progress")
        (found,) = answer.json()["items"]
        return dict(found)


@pytest.fixture
def service(database_url: str) -> Generator[Service]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        running = SetUp(database_url, "", InProcessBroker()).consumption()
        client = runner.run(stack.enter_async_context(running))
        yield Service(runner, client)
        runner.run(stack.aclose())


positions = st.integers(0, DURATION + 2)
segments = st.lists(st.tuples(positions, positions).map(lambda two: (min(two), max(two))))
reports = st.lists(
    st.builds(Report, st.integers(0, 1), st.integers(1, 5), positions, st.none() | segments),
    max_size=6,
)
starts = st.tuples(st.integers(0, 3), st.integers(0, 3))


def seconds_seen(starts: Sequence[int], reports: Sequence[Report]) -> tuple[set[int], set[int]]:
    """The seconds that count, and those of them that segments told of."""
    reported = {
        second
        for report in reports
        for start, end in report.segments or []
        for second in range(start, end)
    }
    plain = [*starts, *(report.position for report in reports if report.segments is None)]
    return reported | set(range(max(plain))), reported


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # an example is small, and a shorter one takes long
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(starts, reports, st.randoms(use_true_random=False))
def test_any_order_of_reports_ends_in_the_same_progress_which_never_goes_back(
    service: Service, starts: Sequence[int], reports: list[Report], chance: Any
) -> None:
    shuffled = chance.sample([*reports, *reports[:2]], len(reports) + len(reports[:2]))

    told = service.tell(starts, reports)
    ended = told[-1]

    assert service.tell(starts, shuffled)[-1] == ended
    seen, reported = seconds_seen(starts, reports)
    assert ended["percent"] == min(100, len(seen) * 1000 // DURATION / 10)
    assert (ended["state"] == "finished") == (len(seen) >= 0.9 * DURATION)
    assert ended["furthest_position"] == max([*starts, *(one.position for one in reports)])
    has_segments = any(report.segments is not None for report in reports)
    assert ended["watched_seconds"] == (len(reported) if has_segments else None)
    last = max([(0, start) for start in starts] + [(one.at, one.position) for one in reports])
    assert (ended["last_watched_at"], ended["position"]) == (AT(last[0]), last[1])
    for earlier, later in pairwise(told):
        for growing in ("percent", "furthest_position", "last_watched_at"):
            assert earlier[growing] <= later[growing]
        assert earlier["state"] == "started" or later["state"] == "finished"
