"""The client in use: the fast one if the installed libraries fit, else the documented one."""

import logging
from asyncio import CancelledError
from functools import cache

from shared.broker.rabbitmq.wire.fallback import PLAIN, Client

log = logging.getLogger(__name__)


@cache
def checked_client() -> Client:
    """Return the fast client if the installed libraries are as it expects, else the plain one."""
    try:
        # The import fails, too, when a library lacks what the fast client imports.
        from shared.broker.rabbitmq.wire.self_check import FAST, check  # noqa: PLC0415

        check()
    except (Exception, CancelledError) as error:  # noqa: BLE001 - the plain client works anyway
        log.warning(
            "messages are published and consumed one by one, which is slower:"
            " the installed aio-pika, aiormq or pamqp is not as expected: %r",
            error,
        )
        return PLAIN
    return FAST
