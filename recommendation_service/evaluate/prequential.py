"""Evaluate: predict each real watch from what is known, then learn it.

For every lesson that a user with a history meets next, the rank that the model gave it among all
lessons not met yet is noted, and beside it the rank by plain popularity. The same look teaches the
weights that combine the model's counts. A lesson nobody met before counts as a miss for both.

It may take a share of the time, and a few milliseconds of each batch: while more comes in than that
pays for, it looks at some events and not at others, and counts how many. With all of the time as
its share it looks at every event, however long that takes.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import Final

from sqlalchemy import func, insert, select, update

from recommendation_service.evaluate.attribution import Served
from recommendation_service.learn.histories import RECENT, ModelStep
from recommendation_service.learn.recent_interactions import MAX_HISTORY, recent_interactions
from recommendation_service.model.history import Interaction
from recommendation_service.replicate.model import ModelReplica, StepObserver
from recommendation_service.tables import evaluation, model_weights
from shared.database.database import Database, DatabaseUnavailable
from shared.process.background import log_and_continue

K: Final = 10  # the length of the list that a lesson has to be in
SAVINGS: Final = 0.5  # seconds of it that can be saved up while little comes in
GLANCE: Final = 0.003  # seconds that the answers may wait for the evaluation of one batch
BLOCK: Final = 1000  # events in a row of the table, about
RECENT_BLOCKS: Final = 10  # rows that "recent" is taken over
SAVE_INTERVAL: Final = 2.0  # seconds

Sums = dict[str, float]


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over the evaluated events."""

    hit: float
    ndcg: float
    mrr: float


@dataclass(frozen=True, slots=True)
class Report:
    """How well the next lessons were predicted, beside popularity."""

    events: int  # that could be evaluated
    evaluated: int
    upnext: Quality
    popular: Quality


class Evaluator:
    """Evaluates what this process learns, and saves the sums and the weights now and then."""

    def __init__(self, database: Database, replica: ModelReplica, share: float) -> None:
        self._database = database
        self._replica = replica
        self.served = Served(database)
        self._share = share  # of the time
        self._credit = SAVINGS if share else 0.0
        self._paid_at = time.monotonic()
        self._sums = _nothing()
        self._saving = asyncio.Lock()

    def glance(self) -> StepObserver:
        """Return what looks at the steps of one batch, which does not wait for it for long."""
        left = GLANCE

        async def look(step: ModelStep) -> None:
            nonlocal left
            if step.interaction is not None:
                left -= await self._look(step, left)

        return look

    async def _look(self, step: ModelStep, left: float) -> float:
        """Predict what the user met next, before the model learns it; return how long it took."""
        self._earn()
        # A first lesson says nothing of how well users are known; it teaches the weights, though.
        self._sums["events"] += bool(step.before)
        if self._share < 1 and min(self._credit, left) <= 0:
            return 0.0
        began = time.perf_counter()
        before = await self._whole(step)
        if before is not None and step.interaction is not None:
            self._predict(before, step.interaction)
        spent = time.perf_counter() - began
        self._credit -= spent
        return spent

    def _earn(self) -> None:
        now = time.monotonic()
        self._credit = min(self._credit + self._share * (now - self._paid_at), SAVINGS)
        self._paid_at = now

    async def _whole(self, step: ModelStep) -> Sequence[Interaction] | None:
        """Return the whole history: a lesson met long ago is no candidate either.

        None where it cannot be had, or is too long for a person: what a robot meets next says
        nothing of how well people are known, and must not teach the weights.
        """
        if step.interaction is None or len(step.before) < RECENT:
            return step.before
        try:
            async with self._database.read() as connection:
                history = await recent_interactions(connection, step.user_id)
        except DatabaseUnavailable:
            return None
        before = [meeting for meeting in history if meeting.at < step.interaction.at]
        return before if len(history) < MAX_HISTORY else None

    def _predict(self, before: Sequence[Interaction], met: Interaction) -> None:
        model = self._replica.model
        popular = model.popularity_rank(before, met.lesson_id)
        rank = model.learn_weights(before, met.lesson_id, met.at)
        if before:
            self._sums["evaluated"] += 1
            _add(self._sums, "", rank)
            _add(self._sums, "popular_", popular)

    async def run(self) -> None:
        """Save now and then, for ever."""
        while True:
            await asyncio.sleep(SAVE_INTERVAL)
            with log_and_continue(DatabaseUnavailable, "the evaluation is not saved yet"):
                await self.save()

    async def save(self) -> None:
        """Add the sums to the newest row of the table, or to another when that is full."""
        async with self._saving:
            if self._sums["events"]:
                await self._save(dict(self._sums))

    async def _save(self, sums: Sums) -> None:
        async with self._database.write() as connection:
            # The lock of its only row makes the processes take turns.
            weights = self._replica.model.weights.to_bytes()
            await connection.execute(update(model_weights).values(weights=weights))
            newest = await connection.scalar(select(func.max(evaluation.c.block))) or 0
            this_one = evaluation.c.block == newest
            full = await connection.scalar(select(evaluation.c.evaluated).where(this_one))
            if full is None or full >= BLOCK:
                await connection.execute(insert(evaluation).values(block=newest + 1, **sums))
            else:
                more = {name: evaluation.c[name] + value for name, value in sums.items()}
                await connection.execute(update(evaluation).where(this_one).values(more))
        for name, value in sums.items():
            self._sums[name] -= value


async def report(database: Database, blocks: int | None = None) -> Report:
    """Return the quality over the newest rows, or since ever."""
    query = select(evaluation).order_by(evaluation.c.block.desc()).limit(blocks)
    async with database.read() as connection:
        rows = (await connection.execute(query)).all()
    sums = {name: sum(getattr(row, name) for row in rows) for name in _nothing()}
    count = max(sums["evaluated"], 1)
    ours, theirs = (
        Quality(*(round(sums[prefix + name] / count, 4) for name in ("hits", "ndcg", "mrr")))
        for prefix in ("", "popular_")
    )
    return Report(int(sums["events"]), int(sums["evaluated"]), ours, theirs)


def _nothing() -> Sums:
    return {column.name: 0 for column in evaluation.c if column.name != "block"}


def _add(sums: Sums, prefix: str, rank: int | None) -> None:
    if rank is not None and rank <= K:
        sums[prefix + "hits"] += 1
        sums[prefix + "ndcg"] += 1 / log2(rank + 1)
        sums[prefix + "mrr"] += 1 / rank
