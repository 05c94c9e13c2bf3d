"""Backlog: how many events wait in the outbox, measured every few seconds."""

import asyncio
from typing import Final

from sqlalchemy import func, select

from consumption_service.metrics import PublishMetrics
from consumption_service.tables import outbox
from shared.database.database import Database, DatabaseUnavailable
from shared.process.background import log_and_continue

MEASURE_INTERVAL: Final = 2.0  # seconds


class OutboxBacklog:
    """The size of the outbox, as it was measured last."""

    def __init__(self, database: Database, metrics: PublishMetrics, max_outbox: int) -> None:
        self._database = database
        self._metrics = metrics
        self._max_outbox = max_outbox
        self.is_full = False  # no more events should be taken

    async def run(self) -> None:
        """Measure for ever."""
        # Rows are counted no further than needed: a full outbox is a large one.
        row = select(1).select_from(outbox).limit(self._max_outbox).subquery()
        first = select(outbox.c.event_id).order_by(outbox.c.event_id).limit(1)
        while True:
            with log_and_continue(DatabaseUnavailable, "the outbox cannot be measured"):
                async with self._database.read() as connection:
                    rows = await connection.scalar(select(func.count()).select_from(row)) or 0
                    oldest = await connection.scalar(first)
                self.is_full = rows == self._max_outbox
                self._metrics.waiting(rows, oldest)
            await asyncio.sleep(MEASURE_INTERVAL)
