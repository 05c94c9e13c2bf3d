"""Group commit: requests that arrive together share one transaction, and one write to the disk.

A request that comes alone waits for nothing but its own commit. The others wait for the commit in
progress, and go together into the next. What fails for one does not fail its neighbours.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Final

from consumption_service.announce import Announcer
from consumption_service.commands import Command, Done, Outcome
from consumption_service.record import record
from shared.database import Database, DatabaseUnavailable
from shared.errors import ServiceError, Unavailable

log = logging.getLogger(__name__)

GROUP_SIZE: Final = 256  # commands in one transaction
GROUPS_IN_FLIGHT: Final = 2  # one is prepared while the other is being written to the disk

Waiting = tuple[Command, asyncio.Future[Outcome]]


class GroupCommit:
    """The queue of commands that wait for their commit."""

    def __init__(self, database: Database, announcer: Announcer, max_waiting: int) -> None:
        self._database = database
        self._announcer = announcer
        self._max_waiting = max_waiting
        self._waiting: deque[Waiting] = deque()
        self._arrived = asyncio.Event()

    async def carry_out(self, command: Command) -> Done:
        """Return what came of the command, once it is committed and its event is on its way.

        Raises the `ServiceError` that is its outcome; `Unavailable` when it may not have happened.
        A caller that stops waiting does not stop the command.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable("Too many requests wait for the database.")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, future))
        self._arrived.set()
        outcome = await future
        if isinstance(outcome, ServiceError):
            raise outcome
        return outcome

    async def run(self) -> None:
        """Commit group after group, for ever."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(1 if self._database.is_sqlite else GROUPS_IN_FLIGHT):
                workers.create_task(self._work())

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP_SIZE))]
            if not self._waiting:
                self._arrived.clear()
            if group:
                await self._commit_or_split(group)

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
        async with self._database.write() as connection:
            commands = [command for command, _ in group]
            outcomes, events = await record(self._database, connection, commands)
        self._announcer.announce(events)
        _answer(group, outcomes)


def _answer(group: Sequence[Waiting], outcomes: Sequence[Outcome]) -> None:
    for (_, future), outcome in zip(group, outcomes, strict=True):
        if not future.done():  # its request may have gone away
            future.set_result(outcome)


def _fail(one: Waiting, error: Exception) -> None:
    _, future = one
    if not future.done():
        future.set_exception(error)
