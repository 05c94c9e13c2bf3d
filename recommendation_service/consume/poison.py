"""Poison messages: those that were redelivered often, and may end the process each time."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from recommendation_service.event import is_erasure
from shared.broker.interface import Delivery, Subscription

SUSPICIOUS: Final = 3  # deliveries after which a message is processed alone, and last
RECEIVE_TIMEOUT: Final = 0.5  # seconds to wait for the deliveries behind a poison message


def may_be_poison(delivery: Delivery) -> bool:
    """Whether a message was redelivered often."""
    return delivery.delivery_count >= SUSPICIOUS


async def receive_rest(source: Subscription, deliveries: list[Delivery], prefetch: int) -> None:
    """Add the deliveries that arrive with a poison message: it may stand before healthy ones."""
    with suppress(TimeoutError):
        async with asyncio.timeout(RECEIVE_TIMEOUT):
            while len(deliveries) < prefetch:
                deliveries += await source.receive(prefetch)


def isolate(deliveries: Sequence[Delivery]) -> list[Sequence[Delivery]]:
    """Return batches: the healthy messages first, then each other message in a batch of its own.

    A poison message must not take healthy ones with it, wherever these stand among poison messages.
    The order of these changes with each delivery: forwards, backwards, random. So each healthy
    message is processed long before the broker gives a poison message up.

    An erasure may take several transactions, so it is alone, too.
    """
    alone = [one for one in deliveries if _is_alone(one)]
    if not alone:
        return [deliveries]
    healthy = [one for one in deliveries if not _is_alone(one)]
    match alone[0].delivery_count % 3:
        case 1:
            alone.reverse()
        case 2:
            random.shuffle(alone)
    return [*([healthy] if healthy else []), *([one] for one in alone)]


def _is_alone(delivery: Delivery) -> bool:
    return may_be_poison(delivery) or is_erasure(delivery)
