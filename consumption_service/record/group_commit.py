"""Group commit: commands that arrive together share one transaction, and one write to the disk.

A command that comes alone waits for nothing but its own commit. The others wait for the commit in
progress, and share the next one. A command that fails does not make the others of its group fail.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from consumption_service.event import OutboxEvent
from consumption_service.metrics import CommitMetrics
from consumption_service.publish.outbox_relay import OutboxRelay
from consumption_service.record.commands import Command, CommandResult, Success
from consumption_service.record.locks import ClockReading, lock_exclusive, lock_shared
from consumption_service.record.timestamps import NEVER, TimestampAllocator
from consumption_service.record.write import record
from consumption_service.record.write_in_one_statement import is_plain, record_in_one_statement
from consumption_service.tables import outbox
from shared.database.bulk import delete_rows
from shared.database.database import Database, DatabaseUnavailable
from shared.errors import ServiceError, Unavailable
from shared.process.futures import set_exceptions, set_results

log = logging.getLogger(__name__)

GROUP_SIZE: Final = 256  # commands in one transaction
GROUPS_IN_FLIGHT: Final = 2  # one is prepared while the other is being written to the disk
SECOND_GROUP_MIN_SIZE: Final = 32  # commands; fewer wait for the group in flight, and go with more
DELETE_MIN_SIZE: Final = 64  # confirmed events; fewer wait, so that not every commit has to

T = TypeVar("T")

Submission = tuple[Command, asyncio.Future[CommandResult]]
# What to do in a transaction, at the time that it has: a result, and the events to publish.
Work = Callable[[AsyncConnection, datetime], Awaitable[tuple[T, Sequence[OutboxEvent]]]]


class GroupCommit:
    """The queue of commands that wait for their commit."""

    def __init__(self, database: Database, relay: OutboxRelay, max_waiting: int) -> None:
        self._database = database
        self.relay = relay
        self._max_waiting = max_waiting
        self._waiting: deque[Submission] = deque()
        self._in_flight = 0  # groups
        self._may_begin = asyncio.Event()  # set when another group is to begin
        self.metrics = CommitMetrics()
        self.metrics.waiting.set_function(lambda: len(self._waiting))
        self.timestamps = TimestampAllocator()
        self._clock = ClockReading(NEVER)  # the latest reading

    async def submit(self, command: Command) -> Success:
        """Return the result of the command, once it is committed and its event is in memory.

        Raises the `ServiceError` that is the result; `Unavailable` also when the command may have
        been carried out. A caller that stops waiting does not stop the command.
        """
        result = await self.submit_nowait(command)
        if isinstance(result, ServiceError):
            raise result
        return result

    def submit_nowait(self, command: Command) -> asyncio.Future[CommandResult]:
        """Queue the command; the future has its result as soon as that is committed.

        Raises `Unavailable` when there is no room for it.
        """
        self._refuse_if_full()
        return self._enqueue(command)

    async def submit_many(self, commands: Sequence[Command]) -> list[CommandResult | Exception]:
        """Return the result of each command, or the exception that it failed with.

        Raises `Unavailable` when there is no room for them.
        """
        self._refuse_if_full()
        futures = [self._enqueue(command) for command in commands]
        return [await _result_of(future) for future in futures]

    def _refuse_if_full(self) -> None:
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable("Too many requests wait for the database.")
        if self.relay.backlog.is_full:
            raise Unavailable("Too many events wait for the broker.")

    def _enqueue(self, command: Command) -> asyncio.Future[CommandResult]:
        future: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, future))
        self._wake_worker_if_worthwhile()
        return future

    def _wake_worker_if_worthwhile(self) -> None:
        """Let another group begin when enough commands wait for it."""
        if len(self._waiting) >= (SECOND_GROUP_MIN_SIZE if self._in_flight else 1):
            self._may_begin.set()
        else:
            self._may_begin.clear()

    async def run(self) -> None:
        """Commit group after group, for ever."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(1 if self._database.is_sqlite else GROUPS_IN_FLIGHT):
                workers.create_task(self._work())

    async def _work(self) -> None:
        while True:
            while not self._may_begin.is_set():  # the other worker may have been quicker
                await self._may_begin.wait()
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP_SIZE))]
            self._in_flight += 1
            self._wake_worker_if_worthwhile()
            try:
                await self._commit_or_split(group)
            finally:
                self._in_flight -= 1
                self._wake_worker_if_worthwhile()

    async def _commit_or_split(self, group: Sequence[Submission]) -> None:
        """Commit the group; if that fails, but not for an outage, commit each command alone."""
        futures = [future for _, future in group]
        try:
            await self._commit(group)
        except DatabaseUnavailable as outage:
            log.warning("%d commands may not have been committed: %s", len(group), outage)
            set_results(futures, [Unavailable("The database does not answer.")] * len(group))
        except Exception as error:  # noqa: BLE001 - it is the caller's; the loop has to go on
            if len(group) == 1:
                set_exceptions(futures, error)
                return
            for one in group:
                await self._commit_or_split([one])

    async def _commit(self, group: Sequence[Submission]) -> None:
        began = time.perf_counter()
        commands = [command for command, _ in group]

        def committed(results: Sequence[CommandResult]) -> None:
            set_results([future for _, future in group], results)
            self.metrics.observe_commit(len(group), began)

        if all(map(is_plain, commands)) and await self._commit_at_once(commands, committed):
            return

        work = partial(record, commands, self._database)
        await self._transact(work, committed, max_events=len(group))

    async def _commit_at_once(
        self, commands: Sequence[Command], committed: Callable[[Sequence[CommandResult]], None]
    ) -> bool:
        """Commit plain commands with one statement, if the latest reading of the clock is good."""
        clock, about_now = self._clock, self._clock.estimated_now()
        if about_now is None:
            return False
        async with self.timestamps.commit_in_order() as allocate:
            now = allocate(about_now, len(commands))
            with self.relay.confirmed.deleting(DELETE_MIN_SIZE) as confirmed:
                recorded = await record_in_one_statement(
                    self._database, commands, now, clock.erasure_epoch, confirmed
                )
            if recorded is None:
                return False
            results, events = recorded
            committed(results)
        self.relay.enqueue(events)
        return True

    async def transact(self, work: Work[T], max_events: int, *, exclusive: bool = False) -> T:
        """Do the work in a transaction of its own, and publish its events: so many at most.

        Exclusive work has the database to itself, in all processes; there is always room for it.
        Raises `Unavailable` when there is no room for the work.
        """
        if not exclusive:
            self._refuse_if_full()
        return await self._transact(work, max_events=max_events, exclusive=exclusive)

    async def _transact(
        self,
        work: Work[T],
        committed: Callable[[T], None] = lambda _: None,
        *,
        max_events: int,
        exclusive: bool = False,
    ) -> T:
        lock = lock_exclusive if exclusive else lock_shared
        async with self.timestamps.commit_in_order() as allocate:
            with self.relay.confirmed.deleting(DELETE_MIN_SIZE) as confirmed:
                async with self._database.write() as connection:
                    self._clock = await lock(self._database, connection)
                    now = allocate(self._clock.now, max_events)
                    await delete_rows(connection, outbox.c.event_id, confirmed)
                    result, events = await work(connection, now)
            committed(result)
        self.relay.enqueue(events)
        return result


async def _result_of(future: asyncio.Future[CommandResult]) -> CommandResult | Exception:
    try:
        return await future
    except Exception as error:  # noqa: BLE001 - it is the result
        return error
