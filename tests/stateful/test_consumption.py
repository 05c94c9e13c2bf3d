"""The consumption service against dictionaries: whatever is asked, in whatever order."""

import asyncio
from functools import partial

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    rule,
)
from typing_extensions import override

import consumption_service
from consumption_service.app import open_app
from consumption_service.settings import ConsumptionSettings
from shared.broker.in_process import InProcessBroker
from shared.broker.interface import PublishOutcome
from shared.database.database import open_database
from shared.process.background import running
from tests.stateful.announced import check_events, missing
from tests.stateful.clean_database import empty
from tests.stateful.machine import Machine
from tests.stateful.profile import TIMEOUT, run_machine
from tests.stateful.recording import FAR_AHEAD, Asked, Recorder, asked, posts, times
from tests.stateful.switch import EVERYTHING, PREFETCH, Listener, Switch
from tests.stateful.watches import Erase, Post
from tests.support.eventually import eventually

AHEAD = 10**9  # seconds that a clock may be ahead
AT = times(FAR_AHEAD)


class ConsumptionMachine(Machine):
    """One service, one listener, and a broker between them that comes and goes."""

    def __init__(self, database_url: str) -> None:
        super().__init__()
        self._url = database_url
        self._listener = Listener()

    @initialize()
    def open(self) -> None:
        database = self.keep(open_database(self._url))
        self.run(empty(database, consumption_service))
        broker = InProcessBroker()
        self._switch = Switch(broker)
        subscription = self.keep(broker.subscription(EVERYTHING, PREFETCH))
        self._listening = self.keep(running(self._listener.listen(subscription), "listen"))
        settings = ConsumptionSettings(consumption_database_url=self._url, max_clock_skew=AHEAD)
        self._service = self.start(partial(open_app, settings, self._switch))
        self._recorder = Recorder(self._service, database)

    @rule(asked=asked(AT))
    def ask_one_by_one(self, asked: Asked) -> None:
        for command in self._recorder.commands(asked):
            self.run(self._recorder.send_at_once([command]))

    @rule(asked=asked(AT))
    def ask_at_once(self, asked: Asked) -> None:
        self.run(self._recorder.send_at_once(self._recorder.commands(asked)))

    @rule(post=posts(AT), times=st.integers(2, 4))
    def insist(self, post: Post, times: int) -> None:
        self.run(self._recorder.send_at_once([post._replace(key="insisted")] * times))

    @rule(number=st.integers(0, 5), times=st.integers(1, 2))
    def repeat(self, number: int, times: int) -> None:
        self.run(self._recorder.send_at_once(self._recorder.earlier(number) * times))

    @rule(user=st.integers(0, 2), asked=asked(AT) | st.just(()))
    def erase(self, user: int, asked: Asked) -> None:
        """Erase a user while others, and the user, go on."""
        commands = [*self._recorder.commands(asked), Erase(user)]
        self.run(self._recorder.send_at_once(commands))

    @rule(user=st.integers(0, 2))
    def look_at_progress(self, user: int) -> None:
        self.run(self._recorder.check_progress(user))

    @rule(limit=st.integers(1, 5), user=st.none() | st.integers(0, 2), lesson=st.integers(-1, 2))
    def list_watches(self, limit: int, user: int | None, lesson: int) -> None:
        lesson_id = None if lesson < 0 else lesson
        self.run(self._recorder.check_list(limit, user, lesson_id))

    @rule(killed=st.booleans())
    def restart(self, killed: bool) -> None:  # noqa: FBT001 - drawn
        self.run(self._service.restart(killed=killed))

    @rule(posts=st.lists(posts(AT), min_size=1, max_size=4), turns=st.integers(1, 60))
    def kill_in_the_midst(self, posts: list[Post], turns: int) -> None:
        self.run(self._recorder.send_until_killed(posts, turns))

    @rule(
        answer=st.sampled_from(
            [None, PublishOutcome.UNKNOWN, PublishOutcome.REFUSED, PublishOutcome.UNROUTABLE]
        )
    )
    def lose_the_broker(self, answer: PublishOutcome | None) -> None:
        self._switch.cut(answer)

    @rule()
    def mute_the_listener(self) -> None:
        self._listener.mute()

    @rule(turns=st.integers(0, 60))
    def let_time_pass(self, turns: int) -> None:
        async def pass_by() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.run(pass_by())

    @rule()
    def mend(self) -> None:
        self._listener.unmute()
        self._switch.mend()

    @rule()
    def settle(self) -> None:
        self.run(self.in_the_end())

    @invariant()
    def everything_is_listed(self) -> None:
        self.run(self._recorder.check_list(1000, None, None))

    @override
    async def in_the_end(self) -> None:
        """Every change is announced, and nothing waits any more."""
        self._listener.unmute()
        self._switch.mend()
        await self._recorder.check_each()
        await eventually(lambda: missing(self._listener.events, self._recorder.state) <= 0)
        await eventually(self._nothing_waits)
        check_events(self._listener.events, self._recorder.state)

    async def _nothing_waits(self) -> bool:
        return await self._recorder.waiting() == 0


@pytest.mark.timeout(TIMEOUT)
def test_it_records_what_it_is_asked_and_announces_what_it_recorded(database_url: str) -> None:
    run_machine(partial(ConsumptionMachine, database_url))
