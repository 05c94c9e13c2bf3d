"""Awaited: requests that wait until their own watch is learned.

Whoever learns in this process tells those who wait. What others learn is looked for in the
database, with one look for all: they committed it together with the record that changes the model,
so the model that has caught up after the look knows it, too.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import null, select, union_all

from recommendation_service.event import Event
from recommendation_service.replicate.model import ModelReplica
from recommendation_service.tables import inbox, learned_watches
from shared.database.database import Database, DatabaseUnavailable
from shared.errors import Unavailable
from shared.ids import UserId
from shared.process.background import log_and_continue

PAUSE: Final = 0.02  # seconds between two looks
CATCHING_UP: Final = 1.0  # seconds that are granted for it, however short one wants to wait


class NotYetLearned(Unavailable):
    """The watch that the answer has to know is not learned yet."""

    title = "Not yet learned"


class ConsistencyToken(NamedTuple):
    """What a request waits for: an event, or any of the events of a user's watch."""

    user_id: UserId
    id: UUID


class Waiting:
    """The requests that wait, each for a future: whether the model knows what is learned."""

    def __init__(self, database: Database, replica: ModelReplica) -> None:
        self._database = database
        self._replica = replica
        self._waiting: dict[asyncio.Future[bool], ConsistencyToken] = {}
        self._arrived = asyncio.Event()
        replica.add_listener(self._note)

    def _note(self, events: Sequence[Event]) -> None:
        """Tell those who wait for these events, which the model knows now."""
        if self._waiting:
            ids = {event.event_id for event in events}
            watches = {(event.user_id, event.watch_id) for event in events}
            self._tell(ids, watches, is_known=True)

    def _tell(
        self, ids: Collection[UUID], watches: Collection[tuple[UserId, UUID]], *, is_known: bool
    ) -> None:
        for future, awaited in self._waiting.items():
            if not future.done() and (awaited.id in ids or awaited in watches):
                future.set_result(is_known)

    async def run(self) -> None:
        """Look for what requests wait for, for ever."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(PAUSE)
            with log_and_continue(DatabaseUnavailable, "requests wait for what they have to know"):
                await self._look()
            if not self._waiting:
                self._arrived.clear()

    async def until_known(self, awaited: ConsistencyToken, seconds: float) -> None:
        """Wait until the model of this process knows it; `NotYetLearned` when it takes longer."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        future: asyncio.Future[bool] = loop.create_future()
        self._waiting[future] = awaited
        try:
            await self._look()
            if not future.done():
                self._arrived.set()
            await asyncio.wait([future], timeout=deadline - loop.time())
        finally:
            del self._waiting[future]
        if not future.done():
            raise NotYetLearned(f"{awaited.id} is not learned yet.")
        if not future.result():
            await self._catch_up(max(deadline - loop.time(), CATCHING_UP))

    async def _catch_up(self, seconds: float) -> None:
        """Bring the model up to what is learned; it goes on with that if this takes too long."""
        catching_up = asyncio.create_task(self._replica.catch_up())
        catching_up.add_done_callback(_heard)
        done, _ = await asyncio.wait([catching_up], timeout=seconds)
        if not done:
            raise NotYetLearned("The model is being made anew.")
        catching_up.result()

    async def _look(self) -> None:
        """Tell those who wait for what is learned by now."""
        awaited = [one for future, one in self._waiting.items() if not future.done()]
        if not awaited:
            return
        is_any_of = self._database.is_any_of
        ids = {one.id for one in awaited}
        users = {one.user_id for one in awaited}
        watch = learned_watches.c
        events = select(null(), inbox.c.event_id).where(is_any_of(inbox.c.event_id, ids))
        # The inbox may have forgotten it.
        watches = select(watch.user_id, watch.watch_id).where(
            is_any_of(watch.user_id, users), is_any_of(watch.watch_id, ids)
        )
        async with self._database.read() as connection:
            found = {
                (user, id_) for user, id_ in await connection.execute(union_all(watches, events))
            }
        self._tell({id_ for user, id_ in found if user is None}, found, is_known=False)


def _heard(task: asyncio.Task[None]) -> None:
    """Take what it failed with, which is nobody's any more where it took too long."""
    if not task.cancelled():
        task.exception()
