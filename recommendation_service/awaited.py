"""Awaited: requests that wait until their own watch is learned.

All that wait share one look at what was learned. Whoever learned it committed it together with the
record that changes the model; so the model that has caught up after the look knows it, too.
"""

import asyncio
from collections.abc import Collection
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select

from recommendation_service.follow import Follower
from recommendation_service.tables import inbox, learned_watches
from shared.database import Database, DatabaseUnavailable
from shared.errors import Unavailable
from shared.events import UserId

PAUSE: Final = 0.01  # seconds between two looks


class NotYetLearned(Unavailable):
    """The watch that the answer has to know is not learned yet."""

    title = "Not yet learned"


class Awaited(NamedTuple):
    """What a request waits for: an event, or any of the events of a user's watch."""

    user_id: UserId
    id: UUID


Look = asyncio.Future[set[Awaited]]


class Waiting:
    """The requests that wait."""

    def __init__(self, database: Database, follower: Follower) -> None:
        self._database = database
        self._follower = follower
        self._asked: set[Awaited] = set()
        self._wanted = asyncio.Event()
        self._look: Look = asyncio.Future()  # the next one

    async def run(self) -> None:
        """Look for what requests wait for, for ever."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(PAUSE)
            look, asked = self._look, self._asked
            self._look, self._asked = asyncio.Future(), set()
            self._wanted.clear()
            try:
                look.set_result(await self._learned(asked))
            except DatabaseUnavailable as outage:
                look.set_exception(outage)
                look.exception()  # perhaps nobody waits any more

    async def until_known(self, awaited: Awaited, seconds: float) -> None:
        """Wait until the model of this process knows it; `NotYetLearned` when it takes longer."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        learned = await self._learned({awaited})
        while awaited not in learned:
            self._asked.add(awaited)
            self._wanted.set()
            done, _ = await asyncio.wait([self._look], timeout=deadline - loop.time())
            if not done:
                raise NotYetLearned(f"{awaited.id} is not learned yet.")
            learned = done.pop().result()
        await self._follower.catch_up()

    async def _learned(self, awaited: Collection[Awaited]) -> set[Awaited]:
        """Return which of these were learned."""
        among = self._database.among
        ids = {one.id for one in awaited}
        users = {one.user_id for one in awaited}
        watch = learned_watches.c
        events = select(inbox.c.event_id).where(among(inbox.c.event_id, ids))
        # The inbox may have forgotten it.
        watches = select(watch.user_id, watch.watch_id).where(
            among(watch.user_id, users), among(watch.watch_id, ids)
        )
        async with self._database.read() as connection:
            known = set(await connection.scalars(events))
            found = {(user, watch) for user, watch in await connection.execute(watches)}
        return {one for one in awaited if one.id in known or one in found}
