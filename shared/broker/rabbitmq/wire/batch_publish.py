"""Publish a batch in one write, and wait for the confirms of all of it together.

aio-pika publishes message by message: each takes the channel's lock, waits for the socket, and has
a task and several futures of its own. That is most of what a message costs. This module puts the
frames of a batch into one write, and leaves the answers to aiormq, the layer below aio-pika. It
relies on these parts of aiormq 7.2, which are public in name but not documented:

- `Channel.lock` is held by whoever writes, and `Channel.delivery_tag` counts the publishes, as the
  broker does;
- `Channel.confirmations` maps a delivery tag to the future that the ack resolves; a nack sets
  `DeliveryError` on it, a return `PublishError`, and the ack that follows a return is swallowed;
- `Channel.message_id_delivery_tag` is how a return, which has no tag, finds its future;
- `Channel.write_queue` takes a `ChannelFrame`, bytes that the connection writes in order.

The futures are ours, so aiormq does not resolve them when the channel closes: `closing` does.
"""

import asyncio
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from aiormq.exceptions import ChannelInvalidStateError, DeliveryError, PublishError
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.frame import marshal

from shared.broker.interface import BrokerUnavailable, Message, PublishOutcome
from shared.broker.rabbitmq.wire.header_frame import header_frame

Confirm = asyncio.Future[object]

MAX_BODY: Final = 16 * 2**20  # bytes; RabbitMQ 4 closes the channel over a larger one

# What the broker's answer means, by the exception that aiormq sets.
OUTCOMES: Final[dict[type, PublishOutcome]] = {
    type(None): PublishOutcome.CONFIRMED,
    PublishError: PublishOutcome.UNROUTABLE,
    DeliveryError: PublishOutcome.REFUSED,
}


class BatchPublisher:
    """Publishes to one exchange over a channel that nobody else publishes on."""

    def __init__(self, channel: Channel, exchange: str, confirm_timeout: float) -> None:
        self._channel = channel
        self._exchange = exchange
        self._confirm_timeout = confirm_timeout
        self._is_usable = True

    async def publish(self, messages: Sequence[Message]) -> list[PublishOutcome]:
        """Publish in one write, and return what became of each, in the same order.

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
        ids = _distinct_ids(messages)
        payload = b"".join(self._frames(messages))
        confirms: list[Confirm] = []
        self._is_usable = False
        try:
            async with asyncio.timeout(self._confirm_timeout):
                confirms = await self._write(payload, ids)
                await self._answers_or_close(confirms)
        except (TimeoutError, ChannelInvalidStateError):
            confirms = confirms or [_unanswered() for _ in ids]
        finally:
            self._forget(ids, confirms)
        outcomes = [_outcome(confirm) for confirm in confirms]
        self._is_usable = PublishOutcome.UNKNOWN not in outcomes
        return dict(zip(ids, outcomes, strict=True))

    async def _write(self, payload: bytes, ids: Sequence[str]) -> list[Confirm]:
        """Hand the frames over, and register who waits for their confirms."""
        channel, loop = self._channel, asyncio.get_running_loop()
        confirms: list[Confirm] = [loop.create_future() for _ in ids]
        async with channel.lock:
            await channel.write_queue.put(ChannelFrame(payload=payload, should_close=False))
            # From here to the end nothing waits. So the writer did not see the frames yet and no
            # answer can be early; and a cancelled `put` needs no rollback, as nothing was counted.
            for message_id, confirm in zip(ids, confirms, strict=True):
                channel.delivery_tag += 1
                channel.confirmations[channel.delivery_tag] = confirm
                channel.message_id_delivery_tag[message_id] = channel.delivery_tag
        return confirms

    async def _answers_or_close(self, confirms: Sequence[Confirm]) -> None:
        closing = self._channel.closing
        closing.add_done_callback(lambda _: _give_up(confirms))
        try:
            await asyncio.wait(confirms)
        finally:
            closing.cancel()  # only our view of it

    def _forget(self, ids: Sequence[str], confirms: Sequence[Confirm]) -> None:
        """Leave nothing behind that a late answer could stumble over."""
        _give_up(confirms)
        for message_id in ids:
            self._channel.message_id_delivery_tag.pop(message_id, None)

    def _frames(self, messages: Sequence[Message]) -> Iterator[bytes]:
        number = self._channel.number
        for message in messages:
            yield _publish_frame(self._exchange, message.routing_key, number)
            yield header_frame(message, number)
            for start in range(0, len(message.body), self._channel.max_content_size):
                end = start + self._channel.max_content_size
                yield marshal(ContentBody(message.body[start:end]), number)


def _distinct_ids(messages: Sequence[Message]) -> list[str]:
    ids = [message.message_id for message in messages]
    if not all(ids) or len(set(ids)) < len(ids):
        raise ValueError("message ids must be distinct and not empty, or returns go astray")
    return ids


@lru_cache(maxsize=256)
def _publish_frame(exchange: str, routing_key: str, channel_number: int) -> bytes:
    """Return the frame that opens a publish; there are few of them, and many messages."""
    publish = Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True)
    return marshal(publish, channel_number)


def _unanswered() -> Confirm:
    return asyncio.get_running_loop().create_future()


def _give_up(confirms: Sequence[Confirm]) -> None:
    for confirm in confirms:
        confirm.cancel()  # those that were answered keep their answer


def _outcome(confirm: Confirm) -> PublishOutcome:
    if confirm.cancelled():
        return PublishOutcome.UNKNOWN
    return OUTCOMES.get(type(confirm.exception()), PublishOutcome.UNKNOWN)
