"""Both services: what the one recorded, the other knows exactly, whichever of them was away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import NAMESPACE_OID, UUID, uuid5

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from sqlalchemy import select
from typing_extensions import override

import consumption_service
import recommendation_service
from consumption_service.app import open_app as open_consumption
from consumption_service.settings import ConsumptionSettings
from recommendation_service.app import open_app as open_recommendation
from recommendation_service.event import Event
from recommendation_service.learn.rebuild import rebuild
from recommendation_service.settings import RecommendationSettings
from recommendation_service.tables import learned_watches
from shared.broker.in_process import InProcessBroker
from shared.database.database import open_database
from shared.events import Kind
from tests.stateful.clean_database import empty
from tests.stateful.learning import Knowledge
from tests.stateful.machine import Machine
from tests.stateful.profile import TIMEOUT, run_machine
from tests.stateful.recommending import check_answers, check_popular, check_stats, get
from tests.stateful.recording import Asked, Recorder, asked, posts, times
from tests.stateful.watches import Erase, Post, State, Watch, instant
from tests.support.eventually import eventually

AT = times()
PAGE = 3  # watches that a rebuild reads at once


class PairMachine(Machine):
    """Both services on one broker; each may be stopped or killed at any time, or all at once."""

    def __init__(self, consumption_url: str, recommendation_url: str) -> None:
        super().__init__()
        self._urls = consumption_url, recommendation_url

    @initialize()
    def open(self) -> None:
        recorded, self._learned = (self.keep(open_database(url)) for url in self._urls)
        self.run(empty(recorded, consumption_service))
        self.run(empty(self._learned, recommendation_service))
        self._broker = InProcessBroker()
        one = ConsumptionSettings(consumption_database_url=self._urls[0])
        other = RecommendationSettings(recommendation_database_url=self._urls[1], batch_size=3)
        self._recommendation = self.start(lambda: open_recommendation(other, self._broker))
        self._consumption = self.start(lambda: open_consumption(one, self._broker))
        self._recorder = Recorder(self._consumption, recorded)

    @rule(asked=asked(AT))
    def ask_at_once(self, asked: Asked) -> None:
        self.run(self._recorder.send_at_once(self._recorder.commands(asked)))

    @rule(user=st.integers(0, 2), asked=asked(AT) | st.just(()))
    def erase(self, user: int, asked: Asked) -> None:
        """Erase a user while others, and the user, go on."""
        commands = [*self._recorder.commands(asked), Erase(user)]
        self.run(self._recorder.send_at_once(commands))

    @rule(posts=st.lists(posts(AT), min_size=1, max_size=4), turns=st.integers(1, 60))
    def kill_in_the_midst(self, posts: list[Post], turns: int) -> None:
        self.run(self._recorder.send_until_killed(posts, turns))

    @rule(killed=st.booleans())
    def restart_consumption(self, killed: bool) -> None:  # noqa: FBT001 - drawn
        self.run(self._consumption.restart(killed=killed))

    @rule(killed=st.booleans())
    def restart_recommendation(self, killed: bool) -> None:  # noqa: FBT001 - drawn
        self.run(self._recommendation.restart(killed=killed))

    @rule(killed=st.booleans())
    def recommend_no_more(self, killed: bool) -> None:  # noqa: FBT001 - drawn
        self.run(self._recommendation.kill() if killed else self._recommendation.stop())

    @rule()
    def kill_everything(self) -> None:
        """The process ends in which both run, and with it the broker."""

        async def everything() -> None:
            await self._consumption.kill()
            await self._recommendation.kill()
            self._broker = InProcessBroker()
            await self._recommendation.start()
            await self._consumption.start()

        self.run(everything())

    @rule(turns=st.integers(0, 200))
    def let_time_pass(self, turns: int) -> None:
        async def pass_by() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.run(pass_by())

    @rule(asked=asked(AT))
    def rebuild(self, asked: Asked) -> None:
        """Read all watches while others are recorded."""

        async def meanwhile() -> None:
            commands = self._recorder.commands(asked)
            building = rebuild(self._learned, self._pages())
            await asyncio.gather(building, self._recorder.send_at_once(commands))

        self.run(meanwhile())

    @rule(posts=st.lists(posts(AT), min_size=2, max_size=4), user=st.integers(0, 2))
    def rebuild_from_what_was_read_before_an_erasure(self, posts: list[Post], user: int) -> None:
        """What comes later than the erasure, and was recorded before it, counts no longer."""

        async def late() -> None:
            await self._recommendation.kill()
            for post in posts:  # the first is on its way; what follows waits, and is dropped
                await self._recorder.send_at_once([post._replace(user_id=user, key=None)])
            pages = [page async for page in self._pages()]
            await self._recorder.send_at_once([Erase(user)])
            await self._recommendation.start()
            await eventually(self._has_learned_all)
            await rebuild(self._learned, _each(pages))

        self.run(late())

    async def _pages(self) -> AsyncIterator[Sequence[Event]]:
        listed = await self._recorder.listed(PAGE)
        for start in range(0, len(listed), PAGE):
            yield [_event(Kind.CREATED, one, one["id"]) for one in listed[start : start + PAGE]]

    @rule()
    def settle(self) -> None:
        self.run(self.in_the_end())

    @invariant()
    def everything_is_listed(self) -> None:
        self.run(self._recorder.check_list(1000, None, None))

    @override
    async def in_the_end(self) -> None:
        """Every change is learned, once; and what that amounts to is what is recommended."""
        if not self._recommendation.is_running:
            await self._recommendation.start()
        await eventually(self._has_learned_all)
        known = _known(self._recorder.state)
        await check_stats(self._recommendation.client, known)
        await check_popular(self._recommendation.client, known)
        await check_answers(self._recommendation.client, known)
        async with self._learned.read() as connection:
            left = set(await connection.scalars(select(learned_watches.c.watch_id)))
        assert left == {event.watch_id for event in known.learned.values()}

    async def _has_learned_all(self) -> bool:
        """Nothing is on its way any more, and every erasure has its receipt."""
        changes = self._recorder.state.changes
        stats = await get(self._recommendation.client, "/stats")
        enough = stats["events"]["applied"] >= len(changes)
        erasures = [told["erasure_id"] for kind, told, _ in changes if kind == "erased"]
        receipts = [await get(self._consumption.client, f"/erasures/{id_}") for id_ in erasures]
        done = all(receipt["done"] for receipt in receipts)
        return enough and done and await self._recorder.waiting() == 0


async def _each(pages: Sequence[Sequence[Event]]) -> AsyncIterator[Sequence[Event]]:
    for page in pages:
        yield page


def _known(state: State) -> Knowledge:
    """What the recommendation service has to know in the end."""
    known = Knowledge(void=len(state.gone))
    for place, (kind, told, _) in enumerate(state.changes):
        if kind == "erased":
            known.erased.append(told["user_id"])
        else:
            known.learn(_event(Kind(kind), told, str(uuid5(NAMESPACE_OID, str(place)))))
    return known


def _event(kind: Kind, watch: Watch, event_id: str) -> Event:
    times = (instant(watch[f"{what}_at"]) for what in ("occurred", "reported", "recorded"))
    who = watch["user_id"], watch["lesson_id"], watch["position"], watch["duration"]
    occurred_at, reported_at, recorded_at = times
    return Event(
        UUID(event_id), kind, UUID(watch["id"]), *who, occurred_at, reported_at, recorded_at
    )


@pytest.mark.timeout(TIMEOUT)
def test_what_is_recorded_is_recommended_by(database_url: str, another_database: str) -> None:
    run_machine(lambda: PairMachine(database_url, another_database))
