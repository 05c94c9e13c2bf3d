"""A probe of the broker before a service starts."""

import logging

from shared.broker.interface import Broker, BrokerRefused, BrokerUnavailable
from shared.broker.topology import Exchange
from shared.errors import CannotStart

log = logging.getLogger(__name__)


async def refuse_to_start_if_refused(broker: Broker, exchange: Exchange) -> None:
    """Raise `CannotStart` when the broker refuses. One that is unavailable may come later."""
    try:
        async with broker.publisher(exchange):
            return
    except BrokerRefused as refusal:
        raise CannotStart(str(refusal)) from None
    except BrokerUnavailable as outage:
        log.warning("starting without the broker: %s", outage)
