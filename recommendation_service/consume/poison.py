"""Poison messages: messages that were redelivered often, and may end the process each time."""

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
    """Add the deliveries that arrive with a poison message.

    Healthy ones may be behind it in the queue.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(RECEIVE_TIMEOUT):
            while len(deliveries) < prefetch:
                deliveries += await source.receive(prefetch)


def isolate(deliveries: Sequence[Delivery]) -> list[Sequence[Delivery]]:
    """Return batches: the healthy messages first, then each other message in a batch of its own.

    A poison message must not keep healthy ones from being processed. A healthy message that was
    redelivered often is isolated, too. So the order of the isolated ones changes with each
    delivery: forwards, backwards, random. Each healthy message is then processed long before the
    broker dead-letters a poison message.

    An erasure may take several transactions, so it is isolated, too.
    """
    isolated = [one for one in deliveries if _needs_isolation(one)]
    if not isolated:
        return [deliveries]
    healthy = [one for one in deliveries if not _needs_isolation(one)]
    match isolated[0].delivery_count % 3:
        case 1:
            isolated.reverse()
        case 2:
            random.shuffle(isolated)
    return [*([healthy] if healthy else []), *([one] for one in isolated)]


def _needs_isolation(delivery: Delivery) -> bool:
    return may_be_poison(delivery) or is_erasure(delivery)
