"""Group commit: requests that arrive together share one transaction, and one write to the disk.

A request that comes alone waits for nothing but its own commit. The others wait for the commit in
progress, and go together into the next. What fails for one does not fail its neighbours.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from consumption_service.event import OutboxEvent
from consumption_service.metrics import CommitMetrics
from consumption_service.publish.relay import OutboxRelay
from consumption_service.record.commands import Command, Done, Outcome
from consumption_service.record.erase import Erasure, erase
from consumption_service.record.locks import ClockReading, await_turn
from consumption_service.record.timestamps import NEVER, TimestampAllocator
from consumption_service.record.write import record
from consumption_service.record.write_at_once import is_plain, record_at_once
from consumption_service.tables import outbox
from shared.database.bulk import delete_rows
from shared.database.database import Database, DatabaseUnavailable
from shared.errors import ServiceError, Unavailable
from shared.ids import UserId

log = logging.getLogger(__name__)

GROUP_SIZE: Final = 256  # commands in one transaction
GROUPS_IN_FLIGHT: Final = 2  # one is prepared while the other is being written to the disk
SECOND_GROUP_MIN_SIZE: Final = 32  # commands; fewer wait for the group in flight, and go with more
DELETE_MIN_SIZE: Final = 64  # confirmed events; fewer wait, so that not every commit has to

T = TypeVar("T")

Waiting = tuple[Command, asyncio.Future[Outcome]]
# What to do in a transaction, at the time that it has: a result, and the events to announce.
Work = Callable[[AsyncConnection, datetime], Awaitable[tuple[T, Sequence[OutboxEvent]]]]


class GroupCommit:
    """The queue of commands that wait for their commit."""

    def __init__(self, database: Database, relay: OutboxRelay, max_waiting: int) -> None:
        self._database = database
        self._outbox_relay = relay
        self._max_waiting = max_waiting
        self._waiting: deque[Waiting] = deque()
        self._in_flight = 0  # groups
        self._arrived = asyncio.Event()  # set when another group is to begin
        self.metrics = CommitMetrics()
        self.metrics.waiting.set_function(lambda: len(self._waiting))
        self._order = TimestampAllocator()
        self._turn = ClockReading(NEVER)  # the one that was had last

    async def submit(self, command: Command) -> Done:
        """Return what came of the command, once it is committed and its event is on its way.

        Raises the `ServiceError` that is its outcome; `Unavailable` when it may not have happened.
        A caller that stops waiting does not stop the command.
        """
        outcome = await self.submit_nowait(command)
        if isinstance(outcome, ServiceError):
            raise outcome
        return outcome

    def submit_nowait(self, command: Command) -> asyncio.Future[Outcome]:
        """Take the command, and return what tells its outcome, as soon as that is committed.

        Raises `Unavailable` when there is no room for it.
        """
        self._refuse_if_full()
        return self._enqueue(command)

    async def submit_many(self, commands: Sequence[Command]) -> list[Done | BaseException]:
        """Return what came of each command, or what it failed with.

        Raises `Unavailable` when there is no room for them.
        """
        self._refuse_if_full()
        futures = [self._enqueue(command) for command in commands]
        return [await _outcome_of(future) for future in futures]

    def _refuse_if_full(self) -> None:
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable("Too many requests wait for the database.")
        if self._outbox_relay.backlog.is_full:
            raise Unavailable("Too many events wait for the broker.")

    def _enqueue(self, command: Command) -> asyncio.Future[Outcome]:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, future))
        self._look()
        return future

    def _look(self) -> None:
        """Let another group begin when enough commands wait for it."""
        if len(self._waiting) >= (SECOND_GROUP_MIN_SIZE if self._in_flight else 1):
            self._arrived.set()
        else:
            self._arrived.clear()

    async def run(self) -> None:
        """Commit group after group, for ever."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(1 if self._database.is_sqlite else GROUPS_IN_FLIGHT):
                workers.create_task(self._work())

    async def _work(self) -> None:
        while True:
            while not self._arrived.is_set():  # another may have been quicker
                await self._arrived.wait()
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP_SIZE))]
            self._in_flight += 1
            self._look()
            try:
                await self._commit_or_split(group)
            finally:
                self._in_flight -= 1
                self._look()

    async def _commit_or_split(self, group: Sequence[Waiting]) -> None:
        """Commit the group; if that fails for whatever reason, each command alone."""
        try:
            await self._commit(group)
        except DatabaseUnavailable as outage:
            log.warning("%d commands may not have been committed: %s", len(group), outage)
            _answer(group, [Unavailable("The database does not answer.")] * len(group))
        except Exception as error:  # noqa: BLE001 - it is the caller's; the loop has to go on
            if len(group) == 1:
                _fail(group[0], error)
                return
            for one in group:
                await self._commit_or_split([one])

    async def _commit(self, group: Sequence[Waiting]) -> None:
        commands, began = [command for command, _ in group], time.perf_counter()
        if all(map(is_plain, commands)) and await self._commit_at_once(group, commands, began):
            return

        async def work(
            connection: AsyncConnection, now: datetime
        ) -> tuple[list[Outcome], list[OutboxEvent]]:
            return await record(self._database, connection, commands, now)

        def committed(outcomes: Sequence[Outcome]) -> None:
            _answer(group, outcomes)
            self.metrics.committed(len(group), began)

        await self._transact(work, committed, most_events=len(group))

    async def _commit_at_once(
        self, group: Sequence[Waiting], commands: Sequence[Command], began: float
    ) -> bool:
        """Commit plain commands without waiting for a turn first, if that can be."""
        turn, about_now = self._turn, self._turn.estimated_now()
        if about_now is None:
            return False
        async with self._order.commit_in_order() as take:
            now = take(about_now, len(group))
            with self._outbox_relay.confirmed.deleting(DELETE_MIN_SIZE) as confirmed:
                recorded = await record_at_once(
                    self._database, commands, now, turn.erasures, confirmed
                )
            if recorded is None:
                return False
            outcomes, events = recorded
            _answer(group, outcomes)
            self.metrics.committed(len(group), began)
        self._outbox_relay.enqueue(events)
        return True

    async def transact(self, work: Work[T], most_events: int) -> T:
        """Do the work in a transaction of its own, and announce its events: so many at most.

        Raises `Unavailable` when there is no room for them.
        """
        self._refuse_if_full()
        return await self._transact(work, lambda _: None, most_events=most_events)

    async def erase(self, user_id: UserId) -> Erasure:
        """Erase the user, and publish nothing more of what is known of them."""

        async def work(
            connection: AsyncConnection, now: datetime
        ) -> tuple[Erasure, Sequence[OutboxEvent]]:
            erasure, events = await erase(user_id, self._database, connection, now)
            # While it is alone: what is recorded next is later, however far the clock was set back.
            self._order.advance_to(erasure.erased_at)
            return erasure, events

        erasure = await self._transact(work, lambda _: None, most_events=1, alone=True)
        self._outbox_relay.drop_user(user_id)
        return erasure

    async def _transact(
        self,
        work: Work[T],
        committed: Callable[[T], None],
        *,
        most_events: int,
        alone: bool = False,
    ) -> T:
        """Do the work; if `alone`, no process does anything of the kind beside it."""
        async with self._order.commit_in_order() as take:
            with self._outbox_relay.confirmed.deleting(DELETE_MIN_SIZE) as confirmed:
                async with self._database.write() as connection:
                    self._turn = await await_turn(self._database, connection, alone=alone)
                    now = take(self._turn.now, most_events)
                    await delete_rows(connection, outbox.c.event_id, confirmed)
                    result, events = await work(connection, now)
            committed(result)
        self._outbox_relay.enqueue(events)
        return result


async def _outcome_of(future: asyncio.Future[Outcome]) -> Outcome | Exception:
    try:
        return await future
    except Exception as error:  # noqa: BLE001 - it is the outcome
        return error


def _answer(group: Sequence[Waiting], outcomes: Sequence[Outcome]) -> None:
    for (_, future), outcome in zip(group, outcomes, strict=True):
        if not future.done():  # its request may have gone away
            future.set_result(outcome)


def _fail(one: Waiting, error: Exception) -> None:
    _, future = one
    if not future.done():
        future.set_exception(error)
