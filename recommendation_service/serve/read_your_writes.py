"""Read-your-writes: requests wait until their own watch is learned.

Events that this process learns resolve the waiting requests directly. Events of other processes are
polled for in the database, with one query for all requests. Each is committed together with its
entry in the change log, so a replica that catches up after the poll has applied it.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import null, select, union_all

from recommendation_service.event import Event
from recommendation_service.replicate.model_replica import ModelReplica
from recommendation_service.tables import inbox, learned_watches
from shared.database.database import Database, DatabaseUnavailable
from shared.errors import Unavailable
from shared.ids import UserId
from shared.process.background import log_and_continue
from shared.process.futures import set_results

POLL_INTERVAL: Final = 0.02  # seconds
MIN_CATCH_UP_TIMEOUT: Final = 1.0  # seconds, however short a request wants to wait


class NotYetLearned(Unavailable):
    """The watch that the answer has to include is not learned yet."""

    title = "Not yet learned"


class ConsistencyToken(NamedTuple):
    """What a request waits for: an event, or any of the events of a user's watch."""

    user_id: UserId
    id: UUID


class ReadYourWrites:
    """The requests that wait, each for a future: whether the model knows what is learned."""

    def __init__(self, database: Database, replica: ModelReplica) -> None:
        self._database = database
        self._replica = replica
        self._waiting: dict[asyncio.Future[bool], ConsistencyToken] = {}
        self._has_waiting = asyncio.Event()
        replica.add_listener(self._resolve_applied)

    def _resolve_applied(self, events: Sequence[Event]) -> None:
        """Resolve the requests that wait for these events, which the model knows now."""
        if self._waiting:
            ids = {event.event_id for event in events}
            watches = {(event.user_id, event.watch_id) for event in events}
            self._resolve(ids, watches, is_applied=True)

    def _resolve(
        self, ids: Collection[UUID], watches: Collection[tuple[UserId, UUID]], *, is_applied: bool
    ) -> None:
        tokens = self._waiting.items()
        found = [future for future, token in tokens if token.id in ids or token in watches]
        set_results(found, [is_applied] * len(found))

    async def run(self) -> None:
        """Poll while requests wait, for ever."""
        while True:
            await self._has_waiting.wait()
            await asyncio.sleep(POLL_INTERVAL)
            with log_and_continue(DatabaseUnavailable, "requests wait for their own writes"):
                await self._poll()
            if not self._waiting:
                self._has_waiting.clear()

    async def wait_until_applied(self, token: ConsistencyToken, seconds: float) -> None:
        """Wait until the model of this process knows it; `NotYetLearned` when it takes longer."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        future: asyncio.Future[bool] = loop.create_future()
        self._waiting[future] = token
        try:
            await self._poll()
            if not future.done():
                self._has_waiting.set()
            await asyncio.wait([future], timeout=deadline - loop.time())
        finally:
            del self._waiting[future]
        if not future.done():
            raise NotYetLearned(f"{token.id} is not learned yet.")
        if not future.result():
            await self._catch_up(max(deadline - loop.time(), MIN_CATCH_UP_TIMEOUT))

    async def _catch_up(self, seconds: float) -> None:
        """Wait until the model has caught up, `seconds` at most.

        After a timeout it goes on catching up.
        """
        catching_up = asyncio.create_task(self._replica.catch_up())
        catching_up.add_done_callback(_retrieve_exception)
        done, _ = await asyncio.wait([catching_up], timeout=seconds)
        if not done:
            raise NotYetLearned("The model is being loaded again.")
        catching_up.result()

    async def _poll(self) -> None:
        """Resolve the requests whose events are learned by now."""
        tokens = [token for future, token in self._waiting.items() if not future.done()]
        if not tokens:
            return
        is_any_of = self._database.is_any_of
        ids = {token.id for token in tokens}
        users = {token.user_id for token in tokens}
        watch = learned_watches.c
        events = select(null(), inbox.c.event_id).where(is_any_of(inbox.c.event_id, ids))
        # The event of such a watch may be deleted from the inbox.
        watches = select(watch.user_id, watch.watch_id).where(
            is_any_of(watch.user_id, users), is_any_of(watch.watch_id, ids)
        )
        async with self._database.read() as connection:
            found = {
                (user, id_) for user, id_ in await connection.execute(union_all(watches, events))
            }
        self._resolve({id_ for user, id_ in found if user is None}, found, is_applied=False)


def _retrieve_exception(task: asyncio.Task[None]) -> None:
    """Retrieve the exception, else asyncio logs it when nothing waits for the task any more."""
    if not task.cancelled():
        task.exception()
