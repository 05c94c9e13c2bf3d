"""The recommendation service against plain Python: whatever comes, in whatever order."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from typing_extensions import override

import recommendation_service
from recommendation_service.app import open_app
from recommendation_service.event import Event
from recommendation_service.learn.rebuild import rebuild
from recommendation_service.settings import RecommendationSettings
from shared.broker.in_process import InProcessBroker
from shared.broker.interface import PublishOutcome
from shared.broker.topology import WATCH
from shared.database.database import open_database
from tests.stateful.clean_database import empty
from tests.stateful.learning import Knowledge
from tests.stateful.machine import Machine, Service
from tests.stateful.messages import NARROW, WIDE, Sent, arriving
from tests.stateful.profile import TIMEOUT, run_machine
from tests.stateful.recommending import (
    NOBODY,
    all_parked,
    check_answers,
    check_duplicates,
    check_popular,
    check_stats,
    get,
)

BATCH = 3  # deliveries learned in one transaction, so that a few messages are several batches
PAGE = 4  # watches that a rebuild reads at once


class RecommendationMachine(Machine):
    """One service, and an exchange that gets messages of all kinds."""

    def __init__(self, database_url: str) -> None:
        super().__init__()
        self._url = database_url
        self._known = Knowledge()
        self._sent: list[Sent] = []
        self._limit = NARROW

    @initialize()
    def open(self) -> None:
        self._database = self.keep(open_database(self._url))
        self.run(empty(self._database, recommendation_service))
        self._broker = InProcessBroker()
        self._service: Service = self.start(lambda: open_app(self._settings(), self._broker))

    def _settings(self) -> RecommendationSettings:
        return RecommendationSettings(
            recommendation_database_url=self._url,
            max_message_bytes=self._limit,
            batch_size=BATCH,
            follow_interval=0.01,
        )

    @rule(sent=arriving())
    def deliver(self, sent: list[Sent]) -> None:
        self.run(self._publish(sent))
        self._take(sent)

    @precondition(lambda self: self._sent)
    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        again = data.draw(st.lists(st.sampled_from(self._sent), min_size=1, max_size=6))
        self.run(self._publish(again))
        self._take(again)

    @rule(parts=st.lists(arriving(), min_size=2, max_size=3))
    def deliver_at_once(self, parts: list[list[Sent]]) -> None:
        async def together() -> None:
            await asyncio.gather(*map(self._publish, parts))

        self.run(together())
        for part in parts:
            self._take(part)

    @rule(sent=arriving(), turns=st.integers(0, 60), killed=st.booleans())
    def restart_in_the_midst(self, sent: list[Sent], turns: int, killed: bool) -> None:  # noqa: FBT001 - drawn
        async def interrupted() -> None:
            publishing = asyncio.create_task(self._publish(sent))
            for _ in range(turns):
                await asyncio.sleep(0)
            await self._service.restart(killed=killed)
            await publishing

        self.run(interrupted())
        self._take(sent)

    @rule(limit=st.sampled_from([NARROW, WIDE]))
    def change_the_limit(self, limit: int) -> None:
        """With another limit, a parked message may be learned after all."""
        self._limit = limit
        self.run(self._service.restart(killed=False))

    @precondition(lambda self: self._known.parked)
    @rule(number=st.integers(0, 20), times=st.integers(1, 3))
    def redeliver(self, number: int, times: int) -> None:
        """Ask several times at once to try a parked message again: once it is tried."""
        place, parked_id = self.run(self._parked(number))

        async def ask() -> list[int]:
            post = self._service.client.post
            answers = [post(f"/parked/{parked_id}/redeliver") for _ in range(times)]
            return sorted(answer.status_code for answer in await asyncio.gather(*answers))

        statuses = self.run(ask())
        sent, _ = self._known.parked[place]
        if sent.reason_at(self._limit):
            assert statuses == [409] * times
            return
        assert statuses == [200] + [404] * (times - 1)
        del self._known.parked[place]
        self._known.take([sent], self._limit)

    @precondition(lambda self: self._known.parked)
    @rule(number=st.integers(0, 20))
    def discard(self, number: int) -> None:
        place, parked_id = self.run(self._parked(number))
        for status in (204, 404):
            answer = self.run(self._service.client.delete(f"/parked/{parked_id}"))
            assert answer.status_code == status
        del self._known.parked[place]

    @rule(listed=arriving(), sent=arriving())
    def rebuild(self, listed: list[Sent], sent: list[Sent]) -> None:
        """Rebuild from watches that may be known, while other messages come."""
        watches = {one.event.event_id: one.event for one in listed if one.event}
        others = [one for one in sent if not one.event or one.event.event_id not in watches]

        async def meanwhile() -> None:
            building = rebuild(self._database, _pages(list(watches.values())))
            found, _ = await asyncio.gather(building, self._publish(others))
            assert found.watches == len(watches)
            assert found.missing == len(watches.keys() - self._known.learned.keys())

        self.run(meanwhile())
        self._known.learned |= {**watches, **self._known.learned}
        self._take(others)

    @rule()
    def look_closely(self) -> None:
        self.run(self.in_the_end())

    @invariant()
    def everything_is_counted(self) -> None:
        self.run(check_stats(self._service.client, self._known))
        self.run(check_duplicates(self._service.client, self._known))
        self.run(check_popular(self._service.client, self._known))

    @override
    async def in_the_end(self) -> None:
        """Everything that can be asked."""
        client = self._service.client
        await check_answers(client, self._known)
        found = Counter(
            (item["reason"], item["message_id"]) for item in await all_parked(client, 2)
        )
        assert found == Counter((why, one.message.message_id) for one, why in self._known.parked)
        answer = await get(client, f"/users/{NOBODY}/recommendations")
        through = answer["applied_through"]
        assert (through and datetime.fromisoformat(through)) == self._known.through

    async def _publish(self, sent: Sequence[Sent]) -> None:
        """Publish; the broker confirms what was settled."""
        messages = [one.message for one in sent]
        async with self._broker.publisher(WATCH) as publisher:
            assert set(await publisher.publish(messages)) <= {PublishOutcome.CONFIRMED}

    def _take(self, sent: Sequence[Sent]) -> None:
        self._known.take(sent, self._limit)
        self._sent += sent

    async def _parked(self, number: int) -> tuple[int, str]:
        """Find one of the parked messages; where it is in our list, and its id."""
        place = number % len(self._known.parked)
        sent, reason = self._known.parked[place]
        wanted = reason, sent.message.message_id
        for item in await all_parked(self._service.client, 100):
            if (item["reason"], item["message_id"]) == wanted:
                return place, item["id"]
        raise AssertionError(f"{wanted} is not parked")


async def _pages(watches: Sequence[Event]) -> AsyncIterator[Sequence[Event]]:
    for start in range(0, len(watches), PAGE):
        yield watches[start : start + PAGE]


@pytest.mark.timeout(TIMEOUT)
@pytest.mark.usefixtures("long_histories")
def test_it_learns_what_comes_and_recommends_by_what_it_learned(database_url: str) -> None:
    run_machine(partial(RecommendationMachine, database_url))
