"""A broker that nothing can be sent to for long fills the outbox up to a limit, and no disk."""

import httpx

from tests.support.eventually import eventually
from tests.support.pair import SetUp, learned

A_WATCH = {"user_id": 42, "lesson_id": 100, "position": 314}


async def test_a_full_outbox_takes_no_more_until_events_can_be_sent(set_up: SetUp) -> None:
    async with set_up.consumption(max_outbox=3) as consumption:
        recorded = 0

        async def refused() -> httpx.Response | None:
            nonlocal recorded
            answer = await consumption.post("/watches", json=A_WATCH)
            recorded += answer.is_success
            return None if answer.is_success else answer

        # No recommendation service has made its queue yet, so the events wait.
        answer = await eventually(refused)
        assert answer
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers
        assert "broker" in answer.json()["detail"]
        assert recorded >= 3

        async with set_up.recommendation() as recommendation:
            await learned(recommendation, recorded)

            async def taken() -> bool:
                return bool((await consumption.post("/watches", json=A_WATCH)).is_success)

            await eventually(taken)
            await learned(recommendation, recorded + 1)
