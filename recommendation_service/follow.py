"""Follow: keep this process's model in step with what was learned, by whichever process.

On start the model is folded from all histories. From then on every version of it is one record in
the log. The process that learned a version has it already; the others read it from the log.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.catalogue import Catalogue
from recommendation_service.histories import Step
from recommendation_service.learn import Learned
from recommendation_service.model.encoding import decode
from recommendation_service.model.history import Change, Meeting, ordered
from recommendation_service.model.model import Model
from recommendation_service.model.weights import Weights
from recommendation_service.tables import meetings, model_changes, model_state, model_weights
from shared.database import Database, DatabaseUnavailable
from shared.events import UserId

log = logging.getLogger(__name__)

READ_SIZE: Final = 1000  # log records in one look
PORTION: Final = 2000  # meetings that are read before other tasks get their turn

Look = Callable[[Step], Awaitable[None]]


class Follower:
    """The model of this process, and how far it has come."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Held by whoever changes the model: while this process learns, it does not read its own
        # work from the log.
        self.turn = asyncio.Lock()
        self.catalogue = Catalogue(database)
        self.model = Model()
        self.version = 0
        self.applied_through: datetime | None = None

    async def load(self) -> None:
        """Fold the model from all histories, as of one moment."""
        async with self._database.snapshot() as connection:
            state = (await connection.execute(select(model_state))).one()
            model = await fold_model(connection)
        if model.fingerprint != int.from_bytes(state.fingerprint, "big"):
            log.error("the model folded from the histories is not the one that was learned")
        await self.catalogue.catch_up()
        self.catalogue.attach(model.offer)
        self.model, self.version = model, state.version
        self.applied_through = state.applied_through

    async def run(self, interval: float) -> None:
        """Look for new versions, for ever."""
        while True:
            try:
                await self.catch_up()
                await self.catalogue.catch_up()
            except DatabaseUnavailable as outage:
                log.warning("the model cannot follow: %s", outage)
            await asyncio.sleep(interval)

    async def adopt(self, learned: Learned, look: Look | None = None) -> None:
        """Apply what this process just committed, after what others committed before it.

        The caller holds `turn` since before the transaction. `look` is shown each step before the
        model learns it.
        """
        if learned.version > self.version + 1:
            await self._catch_up()
        if learned.version == self.version + 1:
            await self._walk(learned, look)
        self.applied_through = learned.applied_through

    async def _walk(self, learned: Learned, look: Look | None) -> None:
        for step in learned.steps:
            if look:
                await look(step)
            self.model.apply(step.change)
        self.model.apply(Change(bounds=learned.change.bounds))
        self.version = learned.version

    async def catch_up(self) -> None:
        """Apply every version that this process does not know."""
        async with self.turn:
            await self._catch_up()

    async def _catch_up(self) -> None:
        while records := await self._next_records():
            if records[0].version > self.version + 1:
                log.warning("the log does not reach back far enough, folding the model anew")
                await self.load()
                continue
            for record in records:
                self._apply(record.version, decode(record.change), record.applied_through)

    async def _next_records(self) -> Sequence[Row[Any]]:
        query = select(model_changes).where(model_changes.c.version > self.version)
        async with self._database.read() as connection:
            rows = await connection.execute(
                query.order_by(model_changes.c.version).limit(READ_SIZE)
            )
            return rows.all()

    def _apply(self, version: int, change: Change, through: datetime | None) -> None:
        self.model.apply(change)
        self.version = version
        self.applied_through = through


async def fold_model(connection: AsyncConnection) -> Model:
    """Return the model of all histories, with the weights that were saved last.

    It takes a while, in which other tasks go on.
    """
    weights = await connection.scalar(select(model_weights.c.weights))
    query = select(meetings.c.user_id, meetings.c.lesson_id, meetings.c.met_at)
    histories: defaultdict[UserId, list[Meeting]] = defaultdict(list)
    async with connection.stream(query.execution_options(yield_per=PORTION)) as rows:
        async for portion in rows.partitions():
            for user_id, lesson_id, met_at in portion:
                histories[user_id].append(Meeting(lesson_id, met_at.timestamp()))
    learned_weights = weights and Weights.from_bytes(weights)
    return await asyncio.to_thread(_fold, histories.values(), learned_weights)


def _fold(histories: Iterable[list[Meeting]], weights: Weights | None) -> Model:
    return Model.of(map(ordered, histories), weights)
