"""Load the model: fold it from all stored interactions."""

import asyncio
from array import array
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.learn.interactions import as_arrays
from recommendation_service.model.fold import Fold, InteractionArrays
from recommendation_service.model.model import Model
from recommendation_service.model.weights import Weights
from recommendation_service.tables import interactions, model_weights
from shared.ids import LessonId, UserId

FETCH_SIZE: Final = 2000  # rows that are read before other tasks run
CHUNK_SIZE: Final = 500_000  # interactions that are folded together, about


async def load_model(connection: AsyncConnection) -> Model:
    """Return the model of all histories, with the weights that were saved last.

    Other tasks run meanwhile. The connection sees one moment, see `Database.snapshot`.
    """
    weights = await connection.scalar(select(model_weights.c.weights))
    model = Model(weights and Weights.from_bytes(weights))
    fold = Fold(model.counts)
    async for chunk in _all_interactions(connection):
        await asyncio.to_thread(fold.add, chunk)
    model.fingerprint = await asyncio.to_thread(fold.finish)
    return model


async def _all_interactions(connection: AsyncConnection) -> AsyncIterator[InteractionArrays]:
    """Yield all interactions, portion by portion; those of a user are in one portion."""
    is_sqlite = connection.dialect.name == "sqlite"
    query = (_BY_USER if is_sqlite else _HISTORIES).execution_options(yield_per=FETCH_SIZE)
    chunk = _Chunk()
    async with connection.stream(query) as result:
        async for rows in result.partitions():
            for row in rows:
                user_id, times, lesson_ids = _as_history(row) if is_sqlite else row
                if chunk.is_full and user_id != chunk.users[-1]:
                    yield chunk.interactions
                    chunk = _Chunk()
                chunk.add(user_id, times, lesson_ids)
    yield chunk.interactions


class _Chunk:
    """Interactions of users, side by side as they were read."""

    def __init__(self) -> None:
        self.users = array("q")
        self._lengths = array("q")
        self._lessons = array("q")
        self._times = array("d")

    def add(self, user_id: UserId, times: Sequence[float], lesson_ids: Sequence[LessonId]) -> None:
        self.users.append(user_id)
        self._lengths.append(len(lesson_ids))
        self._times.extend(times)
        self._lessons.extend(lesson_ids)

    @property
    def is_full(self) -> bool:
        return len(self._lessons) >= CHUNK_SIZE

    @property
    def interactions(self) -> InteractionArrays:
        users = np.repeat(self.users, self._lengths)
        return InteractionArrays(users, np.array(self._lessons), np.array(self._times))


def _as_history(row: Row[Any]) -> tuple[UserId, list[float], list[LessonId]]:
    return row.user_id, [row.met_at.timestamp()], [row.lesson_id]


_HISTORIES: Final = select(interactions.c.user_id, *as_arrays(interactions)).group_by(
    interactions.c.user_id
)
_BY_USER: Final = select(interactions).order_by(interactions.c.user_id)
