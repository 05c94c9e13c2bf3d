"""Load the model from the stored interactions."""

import asyncio

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.learn.interactions import all_meetings
from recommendation_service.model.fold import Fold
from recommendation_service.model.model import Model
from recommendation_service.model.weights import Weights
from recommendation_service.tables import model_weights


async def fold_model(connection: AsyncConnection) -> Model:
    """Return the model of all histories, with the weights that were saved last.

    It takes a while, in which other tasks go on.
    """
    weights = await connection.scalar(select(model_weights.c.weights))
    model = Model(weights and Weights.from_bytes(weights))
    fold = Fold(model.counts)
    async for portion in all_meetings(connection):
        await asyncio.to_thread(fold.add, portion)
    model.fingerprint = await asyncio.to_thread(fold.finish)
    return model
