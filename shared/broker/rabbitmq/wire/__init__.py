"""The wire: all that relies on undocumented parts of aio-pika, aiormq or pamqp, and its fallback.

`checked_client` chooses between the two by a self-check. The rest of `rabbitmq/` imports from here
only, and uses what `aio_pika.abc` and `aiormq.abc` declare.
"""

from shared.broker.rabbitmq.wire.client import checked_client
from shared.broker.rabbitmq.wire.declare import DeclareByAnyName
from shared.broker.rabbitmq.wire.fallback import PLAIN, Client, PlainConnection, plain_delivery

__all__ = [
    "PLAIN",
    "Client",
    "DeclareByAnyName",
    "PlainConnection",
    "checked_client",
    "plain_delivery",
]
