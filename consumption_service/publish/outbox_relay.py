"""Outbox relay: publish each committed event; its row stays until the broker has confirmed it.

Fresh events come from memory, straight after their commit. The outbox holds every event until it is
confirmed. Events that memory lost (after a crash, while the broker is unavailable, or before a
queue is bound) are read from there and relayed, oldest first. One loop does both, so no event is in
flight twice.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

from sqlalchemy import or_, select, text

from consumption_service.event import OutboxEvent
from consumption_service.metrics import PublishMetrics
from consumption_service.publish.confirmed_events import ConfirmedEvents
from consumption_service.publish.message import messages_of
from consumption_service.publish.outbox_backlog import OutboxBacklog
from consumption_service.tables import outbox
from shared.broker.interface import Broker, BrokerUnavailable, Publisher, PublishOutcome
from shared.broker.reconnect import ConnectionStatus, keep_connected
from shared.broker.topology import WATCH
from shared.clock import utc_now
from shared.database.database import Database, DatabaseUnavailable
from shared.events import Kind
from shared.ids import UserId
from shared.uuid7 import first_id_at

log = logging.getLogger(__name__)

BATCH_SIZE: Final = 256  # events in one publish
MAX_FRESH: Final = 20_000  # events kept in memory; the others are read from the outbox
RELAY_INTERVAL: Final = 1.0  # seconds between reads of the outbox
RELAY_GRACE: Final = timedelta(seconds=3)  # younger events are still published from memory
MAX_CLOCK_SKEW: Final = timedelta(minutes=1)  # that the clocks of two processes may be apart
RELAY_LOCK: Final = 7_253_649_811  # the advisory lock of the one relaying process; any number


class OutboxRelay:
    """Publishes the events of one database."""

    def __init__(self, database: Database, broker: Broker, max_outbox: int) -> None:
        self._database = database
        self._broker = broker
        self._fresh: deque[OutboxEvent] = deque()
        self._arrived = asyncio.Event()  # set when there are fresh events
        self._idle = asyncio.Event()  # set while no event is in memory, nor being published
        self._idle.set()
        self.status = ConnectionStatus("publishing")
        self.metrics = PublishMetrics()
        self.metrics.connected.set_function(lambda: self.status.outage is None)
        self.confirmed = ConfirmedEvents(database)
        self.backlog = OutboxBacklog(database, self.metrics, max_outbox)

    def enqueue(self, events: Iterable[OutboxEvent]) -> None:
        """Publish events that were just committed, without reading them from the outbox."""
        for event in events:
            if len(self._fresh) < MAX_FRESH:
                self._fresh.append(event)
        if self._fresh:
            self._idle.clear()
            self._arrived.set()

    def drop_user(self, user_id: UserId) -> None:
        """Remove the user's events from memory."""
        self._fresh = deque(event for event in self._fresh if event.user_id != user_id)

    async def run(self) -> None:
        """Publish for ever, reconnecting as needed."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.confirmed.run())
            tasks.create_task(self.backlog.run())
            connect = partial(self._broker.publisher, WATCH)
            await keep_connected(self.status, connect, self._publish_for_ever)

    async def drain(self, timeout: float) -> None:
        """Wait until memory is empty, `timeout` seconds at most, and delete confirmed events."""
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
            await self.confirmed.delete_confirmed()
        except (TimeoutError, DatabaseUnavailable):
            log.warning("some events stay in the outbox until the next start")

    async def _publish_for_ever(self, publisher: Publisher) -> None:
        loop = asyncio.get_running_loop()
        relay_at = loop.time()
        while True:
            if loop.time() >= relay_at:
                has_more = await self._relay(publisher)
                relay_at = loop.time() + (0 if has_more else RELAY_INTERVAL)
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
        """Publish the events, and return whether the broker confirmed all of them."""
        if not events:
            return True
        now, began = utc_now(), time.perf_counter()
        with messages_of(events, now) as messages:
            outcomes = await publisher.publish(messages)
        self.metrics.observe_publish(outcomes, began)
        self.confirmed.add(
            event.event_id
            for event, outcome in zip(events, outcomes, strict=True)
            if outcome is PublishOutcome.CONFIRMED
        )
        if not self._fresh:
            self._idle.set()
        failed = next((one for one in outcomes if one is not PublishOutcome.CONFIRMED), None)
        outage = f"the broker did not confirm the events ({failed.value})" if failed else None
        self.status.update(outage)
        if outage and set(outcomes) == {PublishOutcome.REFUSED}:
            # After a full queue refused messages, RabbitMQ may go on refusing on the same channel,
            # although the queue has room again. Only a new channel finds out.
            raise BrokerUnavailable(outage)
        return failed is None

    async def _relay(self, publisher: Publisher) -> bool:
        """Publish the oldest leftovers; return whether the outbox may hold more of them."""
        try:
            async with self._relay_lock() as is_locked:
                leftovers = await self._leftovers() if is_locked else []
                confirmed = await self._publish(publisher, leftovers)
        except DatabaseUnavailable as outage:
            log.warning("the outbox cannot be read: %s", outage)
            return False
        return confirmed and len(leftovers) == BATCH_SIZE

    @asynccontextmanager
    async def _relay_lock(self) -> AsyncIterator[bool]:
        """Yield whether this process holds the relay lock.

        Only one process relays; otherwise each would publish the same events.
        """
        if self._database.is_sqlite:
            yield True
            return
        async with self._database.write() as connection:
            try_lock = text("SELECT pg_try_advisory_xact_lock(:lock)")
            yield bool(await connection.scalar(try_lock, {"lock": RELAY_LOCK}))

    async def _leftovers(self) -> list[OutboxEvent]:
        """Read the oldest events that no process is publishing from its memory."""
        now = utc_now()
        # An id far ahead comes from a clock that was wrong; no process has its event in memory.
        is_left = or_(
            outbox.c.event_id < first_id_at(now - RELAY_GRACE),
            outbox.c.event_id > first_id_at(now + MAX_CLOCK_SKEW),
        )
        query = select(outbox).where(is_left).order_by(outbox.c.event_id)
        known = self.confirmed.in_outbox()
        async with self._database.read() as connection:
            rows = (await connection.execute(query.limit(BATCH_SIZE + len(known)))).all()
        known |= {event.event_id for event in self._fresh}
        events = [
            OutboxEvent(row.event_id, Kind(row.kind), row.body, row.user_id, row.traceparent)
            for row in rows
            if row.event_id not in known
        ]
        return events[:BATCH_SIZE]
