"""Follow: keep this process's model in step with what was learned, by whichever process.

On start the model is folded from all histories. From then on every version of it is one record in
the log. The process that learned a version has it already; the others read it from the log.
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
from recommendation_service.learn.histories import Step
from recommendation_service.learn.learn import Learned
from recommendation_service.learn.load_model import fold_model
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

READ_SIZE: Final = 1000  # log records in one look
STEPS: Final = 32  # that are applied before other tasks get their turn

Look = Callable[[Step], Awaitable[None]]


class ModelReplica:
    """The model of this process, and how far it has come."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Held during each learning transaction of this process, so that it does not read its own
        # work from the log.
        self.learning = asyncio.Lock()
        self._turn = asyncio.Lock()  # held by whoever changes the model
        self._committed: deque[tuple[Learned, Look | None]] = deque()  # and not applied yet
        self._is_whole = True  # no change was applied in part
        self.on_adopted: Callable[[Sequence[Event]], None] = lambda _: None  # the model knows them
        self.catalogue = Catalogue(database)
        self.model = Model()
        self.version = 0
        self.applied_through: datetime | None = None

    async def load(self) -> None:
        """Fold the model from all histories, as of one moment."""
        async with self._database.snapshot() as connection:
            state = await read_model_state(connection)
            model = await fold_model(connection)
        if model.fingerprint != int.from_bytes(state.fingerprint, "big"):
            log.error("the model folded from the histories is not the one that was learned")
        await self.catalogue.catch_up()
        self.catalogue.describe_to(model.offer)
        self.model, self.version, self._is_whole = model, state.version, True
        self.applied_through = state.applied_through

    async def run(self, interval: float) -> None:
        """Look for new versions, for ever."""
        while True:
            with log_and_continue(DatabaseUnavailable, "the model cannot follow"):
                if not self.learning.locked():  # else what others did is found out anyway
                    await self.catch_up()
                await self.catalogue.catch_up()
            await asyncio.sleep(interval)

    def note(self, learned: Learned, look: Look | None = None) -> None:
        """Remember what was just committed, while `learning` is held still.

        `look` is to be shown each step before the model learns it.
        """
        self._committed.append((learned, look))

    async def adopt(self) -> None:
        """Apply what this process committed, after what others committed before it."""
        async with self._turn:
            await self._adopt()

    async def _adopt(self) -> None:
        while self._committed:
            learned, look = self._committed[0]
            # The version after an empty change is that of whoever learned before.
            await self._catch_up(learned.version + (not learned.change))
            if learned.change and learned.version == self.version + 1:
                await self._walk(learned, look)
            if learned.version == self.version:
                self.applied_through = learned.applied_through
            self._committed.popleft()
            self.on_adopted(learned.fresh)

    async def _walk(self, learned: Learned, look: Look | None) -> None:
        with self._coming_to(learned.version):
            for number, step in enumerate(learned.steps, 1):
                if look:
                    await look(step)
                self.model.apply(step.change)
                if number % STEPS == 0:
                    await asyncio.sleep(0)
            self.model.apply(Change(bounds=learned.change.bounds))

    @contextmanager
    def _coming_to(self, version: int) -> Iterator[None]:
        """Apply what makes this version; where the block fails, the model is not whole."""
        self._is_whole = False
        yield
        self.version, self._is_whole = version, True

    async def catch_up(self) -> None:
        """Apply every version that this process does not know."""
        async with self.learning, self._turn:
            await self._adopt()
            await self._catch_up()

    async def _catch_up(self, before: int = MAX_INTEGER) -> None:
        """Apply the versions before that one, as far as the log has them."""
        if not self._is_whole:
            await self.load()
        while self.version + 1 < before:
            records = await self._next_records(before)
            if not records and before == MAX_INTEGER:
                return
            if not records or records[0].version > self.version + 1:
                log.warning("the log does not reach back far enough, folding the model anew")
                await self.load()
                continue
            for record in records:
                self._apply(record.version, decode(record.change), record.applied_through)
                await asyncio.sleep(0)  # a record may be large, and others want their turn

    async def _next_records(self, before: int) -> Sequence[Row[Any]]:
        async with self._database.read() as connection:
            between = {"known": self.version, "before": before}
            return (await connection.execute(_NEXT_RECORDS, between)).all()

    def _apply(self, version: int, change: Change, through: datetime | None) -> None:
        with self._coming_to(version):
            self.model.apply(change)
        self.applied_through = through


# Made once: to put a statement together takes longer than to carry it out.
_VERSION: Final = model_changes.c.version
_NEXT_RECORDS: Final = (
    select(model_changes)
    .where(bindparam("known") < _VERSION, bindparam("before") > _VERSION)
    .order_by(_VERSION)
    .limit(READ_SIZE)
)
