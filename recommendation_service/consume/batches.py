"""Batches: parse deliveries and commit them in one transaction; park those that cannot be.

The commit comes before the acknowledgement: a delivery is committed, or it comes again.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from recommendation_service.event import Unprocessable
from recommendation_service.learn.parked_messages import RejectedDelivery, not_learnable
from shared.broker.interface import Delivery, Subscription
from shared.database.retry import retry_while_unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

# One transaction: what was parsed is stored, the rejected deliveries are parked.
Commit = Callable[[Sequence[T], Sequence[RejectedDelivery]], Awaitable[Sequence[R]]]


async def process_batch(
    batch: Sequence[Delivery], parse: Callable[[Delivery], T], commit: Commit[T, R], name: str
) -> list[R]:
    """Commit every delivery of the batch, however long the database is away; return the results.

    A batch that fails unexpectedly is processed again, delivery by delivery: one bad delivery is
    parked, and neither stops the queue nor is lost. `name` says in the log what is done.
    """
    try:
        parsed, rejected = _parse_all(batch, parse)
        return list(await retry_while_unavailable(partial(commit, parsed, rejected), name))
    except Exception as error:
        log.exception("%s failed for a batch of %d", name, len(batch))
        if len(batch) == 1:
            park = partial(commit, [], [not_learnable(batch[0], error)])
            return list(await retry_while_unavailable(park, name))
    return [
        one for delivery in batch for one in await process_batch([delivery], parse, commit, name)
    ]


def _parse_all(
    batch: Sequence[Delivery], parse: Callable[[Delivery], T]
) -> tuple[list[T], list[RejectedDelivery]]:
    parsed: list[T] = []
    rejected: list[RejectedDelivery] = []
    for delivery in batch:
        try:
            parsed.append(parse(delivery))
        except Unprocessable as reason:
            rejected.append(RejectedDelivery(delivery, reason))
    return parsed, rejected


async def acknowledge(
    source: Subscription, batch: Sequence[Delivery], *, ack_multiple: bool
) -> None:
    """Acknowledge the batch; with `ack_multiple` all earlier deliveries are settled with it."""
    if ack_multiple:
        await source.ack_up_to(batch[-1].tag)
        return
    for delivery in batch:
        await source.ack(delivery.tag)
