"""Confirmed events: the broker has them, and their rows are still to be deleted from the outbox.

Recording transactions delete them along with their own writes. Each second extra transactions
delete the rest.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final
from uuid import UUID

from consumption_service.tables import outbox
from shared.database.bulk import delete_rows
from shared.database.database import Database, DatabaseUnavailable
from shared.process.background import log_and_continue

DELETE_INTERVAL: Final = 1.0  # seconds that confirmed events wait for a recording transaction
MAX_DELETED: Final = 1000  # events deleted in one transaction


class ConfirmedEvents:
    """The ids of the confirmed events of this process that the outbox still holds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: set[UUID] = set()
        self._deleting: set[UUID] = set()  # by transactions that are not committed yet

    def add(self, event_ids: Iterable[UUID]) -> None:
        """Add events that the broker has confirmed."""
        self._pending.update(event_ids)

    def in_outbox(self) -> set[UUID]:
        """Return the events that a read of the outbox may still find."""
        return self._pending | self._deleting

    @contextmanager
    def deleting(self, at_least: int = 1) -> Iterator[list[UUID]]:
        """Yield the ids of events whose rows the block deletes and commits.

        If the block raises, they are pending again. Yields no id while fewer than `at_least` are
        pending.
        """
        ids = list(islice(self._pending, MAX_DELETED)) if len(self._pending) >= at_least else []
        self._pending.difference_update(ids)
        self._deleting.update(ids)
        try:
            yield ids
        except BaseException:
            self._pending.update(ids)
            raise
        finally:
            self._deleting.difference_update(ids)

    async def delete_confirmed(self) -> None:
        """Delete the rows of all pending events."""
        while self._pending:
            with self.deleting() as ids:
                async with self._database.write() as connection:
                    await delete_rows(connection, outbox.c.event_id, ids)

    async def run(self) -> None:
        """Delete the rows that no recording transaction has deleted, for ever."""
        while True:
            await asyncio.sleep(DELETE_INTERVAL)
            with log_and_continue(DatabaseUnavailable, "confirmed events stay in the outbox"):
                await self.delete_confirmed()
