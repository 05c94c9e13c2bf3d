"""The documented way to publish and to consume: message by message. The fast way extends it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from aio_pika import Connection
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError, PublishError
from pamqp.commands import Basic
from typing_extensions import override

from shared.broker.interface import BrokerUnavailable, Delivery, Message, PublishOutcome

OnDeliveries = Callable[[Sequence[Delivery]], None]

PERSISTENT: Final = 2
MAX_BODY: Final = 16 * 2**20  # bytes; RabbitMQ 4 closes the channel over a larger one

# What the broker's answer means, by the exception that aiormq raises.
OUTCOMES: Final[dict[type, PublishOutcome]] = {
    type(None): PublishOutcome.CONFIRMED,
    PublishError: PublishOutcome.UNROUTABLE,
    DeliveryError: PublishOutcome.REFUSED,
}
# A channel that closes cancels whoever waits for a confirm.
UNANSWERED: Final = (AMQPError, ChannelInvalidStateError, OSError, asyncio.CancelledError)


class PlainConnection(Connection):
    """A connection of aio-pika. Whoever opens it closes it."""

    async def open_channel(self) -> Channel:
        """Open a channel with confirms, on which an unroutable message is a failure.

        It is a channel of aiormq, the layer below aio-pika, whose own can neither publish nor
        acknowledge in batches.
        """
        if self.transport is None or self.transport.connection.is_closed:
            raise ChannelInvalidStateError("the connection was closed")
        opening = self.transport.connection.channel(publisher_confirms=True, on_return_raises=True)
        return cast("Channel", await opening)

    def divert_deliveries(self, channel: int, on_deliveries: OnDeliveries) -> None:
        """Do nothing: aiormq passes each delivery to the callback of `basic_consume`."""

    def abort(self) -> None:
        """Do nothing: the socket is out of reach, so aiormq's timeouts end a connection."""

    @override
    def __del__(self) -> None:
        """Do nothing: whoever opens a connection closes and aborts it.

        aio-pika would close it here, even one that was never established, in whatever event loop
        there is; where there is none, Python warns of a `close` that was never awaited.
        """


class PlainPublisher:
    """Publishes to one exchange over a channel that nobody else publishes on."""

    def __init__(self, channel: Channel, exchange: str, confirm_timeout: float) -> None:
        self._channel = channel
        self._exchange = exchange
        self._confirm_timeout = confirm_timeout
        self._is_usable = True

    async def publish(self, messages: Sequence[Message]) -> list[PublishOutcome]:
        """Publish, and return what became of each, in the same order.

        After a publish without all answers the publisher is of no more use: an answer that comes
        late could be taken for that of a second attempt with the same message id.
        """
        if self._channel.is_closed or not self._is_usable:
            raise BrokerUnavailable("the publishing channel was lost")
        fitting = [message for message in messages if len(message.body) <= MAX_BODY]
        if not fitting:
            return [PublishOutcome.REFUSED] * len(messages)
        outcomes = await self._publish_fitting(fitting)
        return [outcomes.get(message.message_id, PublishOutcome.REFUSED) for message in messages]

    async def _publish_fitting(self, messages: Sequence[Message]) -> dict[str, PublishOutcome]:
        ids = distinct_ids(messages)
        self._is_usable = False
        outcomes = await asyncio.gather(*[self._publish_one(message) for message in messages])
        self._is_usable = PublishOutcome.UNKNOWN not in outcomes
        return dict(zip(ids, outcomes, strict=True))

    async def _publish_one(self, message: Message) -> PublishOutcome:
        try:
            await self._channel.basic_publish(
                message.body,
                exchange=self._exchange,
                routing_key=message.routing_key,
                properties=_properties(message),
                mandatory=True,
                timeout=self._confirm_timeout,
                wait=False,
            )
        except UNANSWERED as error:
            return OUTCOMES.get(type(error), PublishOutcome.UNKNOWN)
        return PublishOutcome.CONFIRMED


def _properties(message: Message) -> Basic.Properties:
    return Basic.Properties(
        content_type=message.content_type,
        headers=dict(message.headers) or None,
        delivery_mode=PERSISTENT,
        message_id=message.message_id,
        timestamp=message.timestamp,
        message_type=message.type,
    )


def distinct_ids(messages: Sequence[Message]) -> list[str]:
    """Return the message ids; raise `ValueError` unless they tell the messages apart."""
    ids = [message.message_id for message in messages]
    if not all(ids) or len(set(ids)) < len(ids):
        raise ValueError("message ids must be distinct and not empty, or returns go astray")
    return ids


def plain_delivery(message: DeliveredMessage) -> Delivery:
    """Return what aiormq has read of a delivery."""
    properties = message.header.properties
    headers, redelivered = properties.headers or {}, bool(message.redelivered)
    count = headers.get("x-delivery-count", redelivered)
    return Delivery(
        tag=message.delivery_tag or 0,
        message_id=properties.message_id,
        routing_key=message.routing_key or "",
        body=message.body,
        type=properties.message_type,
        timestamp=properties.timestamp,
        headers=headers,
        redelivered=redelivered,
        delivery_count=count if isinstance(count, int) else redelivered,
        consumer=(message.consumer_tag or "").encode(),
    )


@dataclass(frozen=True)
class Client:
    """One way to speak to RabbitMQ."""

    publishing_connection: type[PlainConnection]
    consuming_connection: type[PlainConnection]
    publisher: type[PlainPublisher]


PLAIN: Final = Client(PlainConnection, PlainConnection, PlainPublisher)
