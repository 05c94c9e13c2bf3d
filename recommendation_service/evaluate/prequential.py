"""Prequential (test-then-train) evaluation: predict each real watch, then learn it.

For each next lesson of a user with a history, the evaluator takes the rank that the model gave it
among all lessons that are new to the user, and beside it the rank by plain popularity. The same
prediction trains the weights that combine the model's counts. A lesson that no user has watched
before counts as a miss for both.

The evaluation has a budget: a share of the time, and a few milliseconds of each batch. While more
events come in than the budget pays for, it evaluates only some of them, and counts how many. With
a share of 1 it evaluates every event, however long that takes.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import Final

from sqlalchemy import func, insert, select, update

from recommendation_service.learn.histories import RECENT, ModelStep
from recommendation_service.learn.recent_interactions import MAX_HISTORY, recent_interactions
from recommendation_service.model.history import Interaction
from recommendation_service.replicate.model_replica import ModelReplica, StepObserver
from recommendation_service.tables import evaluation, model_weights
from shared.database.database import Database, DatabaseUnavailable
from shared.process.background import log_and_continue

K: Final = 10  # the length of the list that a lesson has to be in
MAX_BUDGET: Final = 0.5  # seconds of evaluation that are saved up while little comes in
BATCH_BUDGET: Final = 0.003  # seconds that the answers may wait for the evaluation of one batch
BLOCK_SIZE: Final = 1000  # events in a row of the table, about
RECENT_BLOCKS: Final = 10  # rows that "recent" is taken over
SAVE_INTERVAL: Final = 2.0  # seconds

MetricSums = dict[str, float]


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over the evaluated events."""

    hit: float
    ndcg: float
    mrr: float


@dataclass(frozen=True, slots=True)
class EvaluationReport:
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
        self._share = share  # of the time
        self._budget = MAX_BUDGET if share else 0.0  # seconds
        self._refilled_at = time.monotonic()
        self._sums = _zero_sums()
        self._save_lock = asyncio.Lock()

    def observer_within_budget(self) -> StepObserver:
        """Return an observer of the steps of one batch that keeps to BATCH_BUDGET."""
        left = BATCH_BUDGET

        async def observe(step: ModelStep) -> None:
            nonlocal left
            if step.interaction is not None:
                left -= await self._evaluate(step, left)

        return observe

    async def _evaluate(self, step: ModelStep, left: float) -> float:
        """Predict a step before the model learns it; return how many seconds that took."""
        self._refill_budget()
        # A first lesson is not evaluated, since there is no history to predict it from. It trains
        # the weights.
        self._sums["events"] += bool(step.before)
        if self._share < 1 and min(self._budget, left) <= 0:
            return 0.0
        began = time.perf_counter()
        before = await self._whole_history(step)
        if before is not None and step.interaction is not None:
            self._predict(before, step.interaction)
        spent = time.perf_counter() - began
        self._budget -= spent
        return spent

    def _refill_budget(self) -> None:
        now = time.monotonic()
        self._budget = min(self._budget + self._share * (now - self._refilled_at), MAX_BUDGET)
        self._refilled_at = now

    async def _whole_history(self, step: ModelStep) -> Sequence[Interaction] | None:
        """Return the whole history: a lesson watched long ago is no candidate either.

        None if the database is unavailable, or if the history is too long for a person. Watches of
        a robot must neither count in the evaluation nor train the weights.
        """
        if step.interaction is None or len(step.before) < RECENT:
            return step.before
        try:
            async with self._database.read() as connection:
                history = await recent_interactions(connection, step.user_id)
        except DatabaseUnavailable:
            return None
        before = [interaction for interaction in history if interaction.at < step.interaction.at]
        return before if len(history) < MAX_HISTORY else None

    def _predict(self, before: Sequence[Interaction], target: Interaction) -> None:
        model = self._replica.model
        popular = model.popularity_rank(before, target.lesson_id)
        rank = model.learn_weights(before, target.lesson_id, target.at)
        if before:
            self._sums["evaluated"] += 1
            _add_rank(self._sums, "", rank)
            _add_rank(self._sums, "popular_", popular)

    async def run(self) -> None:
        """Save the sums every SAVE_INTERVAL, for ever."""
        while True:
            await asyncio.sleep(SAVE_INTERVAL)
            with log_and_continue(DatabaseUnavailable, "the evaluation is not saved yet"):
                await self.save()

    async def save(self) -> None:
        """Add the sums to the newest row of the table, or to a new row when that is full."""
        async with self._save_lock:
            if self._sums["events"]:
                await self._save(dict(self._sums))

    async def _save(self, sums: MetricSums) -> None:
        async with self._database.write() as connection:
            # This locks the table's only row: one process saves at a time.
            weights = self._replica.model.weights.to_bytes()
            await connection.execute(update(model_weights).values(weights=weights))
            newest = await connection.scalar(select(func.max(evaluation.c.block))) or 0
            this_one = evaluation.c.block == newest
            full = await connection.scalar(select(evaluation.c.evaluated).where(this_one))
            if full is None or full >= BLOCK_SIZE:
                await connection.execute(insert(evaluation).values(block=newest + 1, **sums))
            else:
                more = {name: evaluation.c[name] + value for name, value in sums.items()}
                await connection.execute(update(evaluation).where(this_one).values(more))
        for name, value in sums.items():
            self._sums[name] -= value


async def read_evaluation(database: Database, blocks: int | None = None) -> EvaluationReport:
    """Return the quality over the newest blocks, or all so far."""
    query = select(evaluation).order_by(evaluation.c.block.desc()).limit(blocks)
    async with database.read() as connection:
        rows = (await connection.execute(query)).all()
    sums = {name: sum(getattr(row, name) for row in rows) for name in _zero_sums()}
    count = max(sums["evaluated"], 1)
    ours, theirs = (
        Quality(*(round(sums[prefix + name] / count, 4) for name in ("hits", "ndcg", "mrr")))
        for prefix in ("", "popular_")
    )
    return EvaluationReport(int(sums["events"]), int(sums["evaluated"]), ours, theirs)


def _zero_sums() -> MetricSums:
    return {column.name: 0 for column in evaluation.c if column.name != "block"}


def _add_rank(sums: MetricSums, prefix: str, rank: int | None) -> None:
    if rank is not None and rank <= K:
        sums[prefix + "hits"] += 1
        sums[prefix + "ndcg"] += 1 / log2(rank + 1)
        sums[prefix + "mrr"] += 1 / rank
