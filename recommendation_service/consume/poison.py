"""Suspects: messages that came back often, and may be what ends the process each time."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from recommendation_service.event import is_erasure
from shared.broker.interface import Delivery, Subscription

SUSPICIOUS: Final = 3  # deliveries after which a message is processed alone, and last
GATHERING: Final = 0.5  # seconds to wait for what stands behind such a message


def is_suspicious(delivery: Delivery) -> bool:
    """Whether a message came back often."""
    return delivery.delivery_count >= SUSPICIOUS


async def gather(source: Subscription, deliveries: list[Delivery], prefetch: int) -> None:
    """Add what comes together with a suspect: it may stand behind it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(GATHERING):
            while len(deliveries) < prefetch:
                deliveries += await source.receive(prefetch)


def apart(deliveries: Sequence[Delivery]) -> list[Sequence[Delivery]]:
    """Put a message that came back often into a batch of its own, after the others.

    It may be the one that ends the process each time, and the others must not share its fate. They
    stand before or behind it, or between two of its kind: taken forwards, backwards and in any
    order in turns, they all get past it long before the broker gives it up. One that erases a user
    may take several transactions, so it is alone, too.
    """
    suspects = [one for one in deliveries if _stands_alone(one)]
    if not suspects:
        return [deliveries]
    healthy = [one for one in deliveries if not _stands_alone(one)]
    turn = suspects[0].delivery_count % 3
    if turn == 1:
        suspects.reverse()
    elif turn == 2:
        random.shuffle(suspects)
    return [*([healthy] if healthy else []), *([one] for one in suspects)]


def _stands_alone(delivery: Delivery) -> bool:
    return is_suspicious(delivery) or is_erasure(delivery)
