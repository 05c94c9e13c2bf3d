"""Model replica: the model in the memory of this process, kept up to date by the change log.

At its start the process loads the model from all histories. From then on every version is one entry
of the log. The process that learned a version applies it from memory; the others read the log.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, select

from recommendation_service.event import Event
from recommendation_service.learn.histories import ModelStep
from recommendation_service.learn.learn import LearnedBatch
from recommendation_service.learn.load_model import load_model
from recommendation_service.learn.model_state import read_model_state
from recommendation_service.model.encoding import decode
from recommendation_service.model.history import Change
from recommendation_service.model.model import Model
from recommendation_service.replicate.catalogue import Catalogue
from recommendation_service.tables import model_changes
from shared.database.database import Database, DatabaseUnavailable
from shared.ids import MAX_INTEGER
from shared.process.background import log_and_continue

log = logging.getLogger(__name__)

READ_SIZE: Final = 1000  # log entries in one read
STEPS_BETWEEN_YIELDS: Final = 32  # applied before other tasks run

StepObserver = Callable[[ModelStep], Awaitable[None]]  # sees a step before the model learns it


class ModelReplica:
    """The model of this process, and the version it has reached."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Held during each learning transaction of this process: otherwise `catch_up` would read its
        # entries from the log, and they would be applied twice.
        self._learn_lock = asyncio.Lock()
        self._apply_lock = asyncio.Lock()  # held by the task that changes the model
        self._committed: deque[tuple[LearnedBatch, StepObserver | None]] = (
            deque()
        )  # not applied yet
        self._is_consistent = True  # no version was applied in part
        self._listeners: list[Callable[[Sequence[Event]], None]] = []
        self.catalogue = Catalogue(database)
        self.model = Model()
        self.version = 0
        self.applied_through: datetime | None = None

    def add_listener(self, listener: Callable[[Sequence[Event]], None]) -> None:
        """Call the listener with the events of this process, as soon as the model knows them."""
        self._listeners.append(listener)

    async def load(self) -> None:
        """Load the model from all histories, as of one moment."""
        async with self._database.snapshot() as connection:
            state = await read_model_state(connection)
            model = await load_model(connection)
        if model.fingerprint != int.from_bytes(state.fingerprint, "big"):
            log.error("the model loaded from the histories differs from the one that was learned")
        await self.catalogue.catch_up()
        self.catalogue.describe_to(model.eligibility)
        self.model, self.version, self._is_consistent = model, state.version, True
        self.applied_through = state.applied_through

    async def run(self, interval: float) -> None:
        """Look for versions of other processes every `interval` seconds, for ever."""
        while True:
            with log_and_continue(DatabaseUnavailable, "the model replica is behind"):
                if not self._learn_lock.locked():  # else applying this process's work catches up
                    await self.catch_up()
                await self.catalogue.catch_up()
            await asyncio.sleep(interval)

    async def commit(
        self,
        transaction: Callable[[], Awaitable[LearnedBatch]],
        observer: StepObserver | None = None,
    ) -> LearnedBatch:
        """Run a learning transaction of this process, and enqueue its steps."""
        async with self._learn_lock:
            learned = await transaction()
            self.enqueue(learned, observer)
        return learned

    def enqueue(self, learned: LearnedBatch, observer: StepObserver | None = None) -> None:
        """Enqueue committed steps for `apply_committed`, in the order of the commits."""
        self._committed.append((learned, observer))

    async def apply_committed(self) -> None:
        """Apply the versions of this process, each after those of other processes before it."""
        async with self._apply_lock:
            await self._apply_committed()

    async def catch_up(self) -> None:
        """Apply every version that the model does not have yet."""
        async with self._learn_lock, self._apply_lock:
            await self._apply_committed()
            await self._read_log()

    async def _apply_committed(self) -> None:
        """The caller holds `_apply_lock`, like all below."""
        while self._committed:
            learned, observer = self._committed[0]
            # A transaction with an empty change has the version of the transaction before it.
            await self._read_log(learned.version + (not learned.change))
            if learned.change and learned.version == self.version + 1:
                await self._apply_steps(learned, observer)
            if learned.version == self.version:
                self.applied_through = learned.applied_through
            self._committed.popleft()
            for listener in self._listeners:
                listener(learned.events)

    async def _apply_steps(self, learned: LearnedBatch, observer: StepObserver | None) -> None:
        with self._reaching(learned.version):
            for number, step in enumerate(learned.steps, 1):
                if observer:
                    await observer(step)
                self.model.apply(step.change)
                if number % STEPS_BETWEEN_YIELDS == 0:
                    await asyncio.sleep(0)
            self.model.apply(Change(bounds=learned.change.bounds))

    async def _read_log(self, before: int = MAX_INTEGER) -> None:
        """Apply the versions before this one, as far as the log has them."""
        if not self._is_consistent:
            await self.load()
        while self.version + 1 < before:
            entries = await self._next_entries(before)
            if not entries and before == MAX_INTEGER:
                return
            if not entries or entries[0].version > self.version + 1:
                log.warning("the change log does not reach back far enough: loading the model")
                await self.load()
                continue
            for entry in entries:
                self._apply(entry.version, decode(entry.change), entry.applied_through)
                await asyncio.sleep(0)  # an entry may be large, and other tasks wait

    async def _next_entries(self, before: int) -> Sequence[Row[Any]]:
        async with self._database.read() as connection:
            between = {"known": self.version, "before": before}
            return (await connection.execute(_NEXT_ENTRIES, between)).all()

    def _apply(self, version: int, change: Change, through: datetime | None) -> None:
        with self._reaching(version):
            self.model.apply(change)
        self.applied_through = through

    @contextmanager
    def _reaching(self, version: int) -> Iterator[None]:
        """Apply in the block what leads to the version; if it fails, the model is not whole."""
        self._is_consistent = False
        yield
        self.version, self._is_consistent = version, True


_VERSION: Final = model_changes.c.version
_NEXT_ENTRIES: Final = (
    select(model_changes)
    .where(bindparam("known") < _VERSION, bindparam("before") > _VERSION)
    .order_by(_VERSION)
    .limit(READ_SIZE)
)
