"""Announce: send each committed event to the exchange, and forget it once the broker has it.

Events come from memory, straight after their commit. The outbox table holds every event until it
is confirmed, so what memory loses (a crash, a broker that is away, a queue that is not bound yet)
is found there and sent by the relay, oldest first. One loop does both, so an event is never in
flight twice.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from itertools import islice
from typing import Final
from uuid import UUID

from sqlalchemy import func, or_, select, text

from consumption_service.event import OutboxEvent
from consumption_service.metrics import PublishMetrics
from consumption_service.publish.message import messages_of
from consumption_service.tables import outbox
from shared.broker.interface import (
    Broker,
    BrokerError,
    BrokerUnavailable,
    Publisher,
    PublishOutcome,
)
from shared.broker.topology import WATCH
from shared.clock import utc_now
from shared.database.bulk import delete_rows
from shared.database.database import Database, DatabaseUnavailable
from shared.events import Kind
from shared.ids import UserId
from shared.process.background import log_and_continue
from shared.uuid7 import first_id_at

log = logging.getLogger(__name__)

BATCH_SIZE: Final = 256  # events in one publish
MAX_FRESH: Final = 20_000  # events kept in memory; the relay finds the others
RELAY_INTERVAL: Final = 1.0  # seconds between looks at the outbox
RELAY_GRACE: Final = timedelta(seconds=3)  # younger events are still sent from memory
MAX_CLOCK_LEAD: Final = timedelta(minutes=1)  # that the clocks of two processes may be apart
MEASURE_INTERVAL: Final = 2.0  # seconds between looks at how full the outbox is
FORGET_INTERVAL: Final = 1.0  # seconds that confirmed events wait for a commit to go along with
MAX_DELETED: Final = 1000  # events deleted in one transaction
RECONNECT_DELAY: Final = 1.0  # seconds, on average
RELAY_LOCK: Final = 7_253_649_811  # the advisory lock of the one relaying process; any number


class OutboxRelay:
    """Publishes the events of one database."""

    def __init__(self, database: Database, broker: Broker, max_outbox: int) -> None:
        self._database = database
        self._broker = broker
        self._max_outbox = max_outbox
        self.is_full = False  # so many events wait that no more should be taken
        self._fresh: deque[OutboxEvent] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()  # memory holds no event, and none is being published
        self._idle.set()
        self._confirmed: set[UUID] = set()  # still in the outbox
        self._leaving: set[UUID] = set()  # confirmed, and being deleted
        self.trouble: str | None = "is not connected yet"
        self.metrics = PublishMetrics()
        self.metrics.connected.set_function(lambda: self.trouble is None)

    def drop(self, user_id: UserId) -> None:
        """Publish no event of this user that is only in memory."""
        self._fresh = deque(event for event in self._fresh if event.user_id != user_id)

    def announce(self, events: Iterable[OutboxEvent]) -> None:
        """Take events that were just committed; they are published without being read again."""
        for event in events:
            if len(self._fresh) < MAX_FRESH:
                self._fresh.append(event)
        if self._fresh:
            self._idle.clear()
            self._arrived.set()

    async def run(self) -> None:
        """Publish for ever, reconnecting as needed."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._forget_for_ever())
            tasks.create_task(self._measure_for_ever())
            while True:
                try:
                    async with self._broker.publisher(WATCH) as publisher:
                        self._report(None)
                        await self._publish_for_ever(publisher)
                except BrokerError as error:
                    self._report(str(error))
                except Exception:
                    # Nobody would start this loop again; the outbox holds what was not confirmed.
                    log.exception("announcing failed, and begins anew")
                    self._report("failed, see the log")
                await asyncio.sleep(RECONNECT_DELAY * random.uniform(0.5, 1.5))  # noqa: S311

    def _report(self, trouble: str | None) -> None:
        if trouble and trouble != self.trouble:
            log.warning("events wait in the outbox: %s", trouble)
        elif self.trouble and not trouble:
            log.info("events are announced")
        self.trouble = trouble

    async def _publish_for_ever(self, publisher: Publisher) -> None:
        loop = asyncio.get_running_loop()
        relay_at = loop.time()
        while True:
            if loop.time() >= relay_at:
                found = await self._relay(publisher)
                relay_at = loop.time() + (0 if found else RELAY_INTERVAL)
            await self._wait_for_fresh(until=relay_at)
            batch = [self._fresh.popleft() for _ in range(min(len(self._fresh), BATCH_SIZE))]
            await self._publish(publisher, batch)

    async def _wait_for_fresh(self, until: float) -> None:
        if self._fresh:
            return
        self._arrived.clear()
        try:
            async with asyncio.timeout_at(until):
                await self._arrived.wait()
        except TimeoutError:
            return

    async def _publish(self, publisher: Publisher, events: Sequence[OutboxEvent]) -> bool:
        """Publish, and return whether the broker has all of them."""
        if not events:
            return True
        now, began = utc_now(), time.perf_counter()
        with messages_of(events, now) as messages:
            outcomes = await publisher.publish(messages)
        self.metrics.published(outcomes, began)
        confirmed = {
            event.event_id
            for event, outcome in zip(events, outcomes, strict=True)
            if outcome is PublishOutcome.CONFIRMED
        }
        self._confirmed |= confirmed
        if not self._fresh:
            self._idle.set()
        failed = [outcome for outcome in outcomes if outcome is not PublishOutcome.CONFIRMED]
        self._report(f"the broker did not take them ({failed[0].value})" if failed else None)
        if set(outcomes) == {PublishOutcome.REFUSED}:
            # On a channel that a full queue refused, RabbitMQ may go on refusing after the limit
            # was lifted. Only a new channel finds out.
            raise BrokerUnavailable(
                f"the broker did not take them ({PublishOutcome.REFUSED.value})"
            )
        return not failed

    async def _relay(self, publisher: Publisher) -> bool:
        """Send the oldest leftovers; return whether it is worth looking again at once."""
        try:
            async with self._relay_turn() as mine:
                leftovers = await self._oldest() if mine else []
                sent = await self._publish(publisher, leftovers)
        except DatabaseUnavailable as outage:
            log.warning("the outbox cannot be read: %s", outage)
            return False
        return sent and len(leftovers) == BATCH_SIZE

    @asynccontextmanager
    async def _relay_turn(self) -> AsyncIterator[bool]:
        """Let one process at a time relay, so that an event is not sent by all of them."""
        if self._database.is_sqlite:
            yield True
            return
        async with self._database.write() as connection:
            turn = text("SELECT pg_try_advisory_xact_lock(:lock)")
            yield bool(await connection.scalar(turn, {"lock": RELAY_LOCK}))

    async def _oldest(self) -> list[OutboxEvent]:
        """Return the oldest events that are not on their way already."""
        now = utc_now()
        # An id far ahead is of a clock that was wrong, and of nothing that is on its way.
        left = or_(
            outbox.c.event_id < first_id_at(now - RELAY_GRACE),
            outbox.c.event_id > first_id_at(now + MAX_CLOCK_LEAD),
        )
        query = select(outbox).where(left).order_by(outbox.c.event_id)
        known = self._confirmed | self._leaving
        async with self._database.read() as connection:
            rows = (await connection.execute(query.limit(BATCH_SIZE + len(known)))).all()
        known |= {event.event_id for event in self._fresh}
        events = [
            OutboxEvent(row.event_id, Kind(row.kind), row.body, row.user_id, row.traceparent)
            for row in rows
            if row.event_id not in known
        ]
        return events[:BATCH_SIZE]

    async def _forget_for_ever(self) -> None:
        while True:
            await asyncio.sleep(FORGET_INTERVAL)
            with log_and_continue(DatabaseUnavailable, "confirmed events stay in the outbox"):
                await self.forget_confirmed()

    async def forget_confirmed(self) -> None:
        """Delete what the broker has confirmed, and no commit has taken along."""
        while self._confirmed:
            with self.forgetting() as ids:
                async with self._database.write() as connection:
                    await delete_rows(connection, outbox.c.event_id, ids)

    @contextmanager
    def forgetting(self, at_least: int = 1) -> Iterator[list[UUID]]:
        """Hand over confirmed events, which the block deletes from the outbox and commits."""
        enough = len(self._confirmed) >= at_least
        ids = list(islice(self._confirmed, MAX_DELETED)) if enough else []
        self._confirmed.difference_update(ids)
        self._leaving.update(ids)
        try:
            yield ids
        except BaseException:
            self._confirmed.update(ids)
            raise
        finally:
            self._leaving.difference_update(ids)

    async def drain(self, patience: float) -> None:
        """Wait `patience` seconds at most for what is in memory, and forget the confirmed."""
        try:
            async with asyncio.timeout(patience):
                await self._idle.wait()
            await self.forget_confirmed()
        except (TimeoutError, DatabaseUnavailable):
            log.warning("some events stay in the outbox until the next start")

    async def _measure_for_ever(self) -> None:
        # Rows are counted no further than needed: a full outbox is a large one.
        row = select(1).select_from(outbox).limit(self._max_outbox).subquery()
        first = select(outbox.c.event_id).order_by(outbox.c.event_id).limit(1)
        while True:
            with log_and_continue(DatabaseUnavailable, "the outbox cannot be measured"):
                async with self._database.read() as connection:
                    rows = await connection.scalar(select(func.count()).select_from(row)) or 0
                    oldest = await connection.scalar(first)
                self.is_full = rows == self._max_outbox
                self.metrics.waiting(rows, oldest)
            await asyncio.sleep(MEASURE_INTERVAL)
