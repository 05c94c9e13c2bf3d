"""Publish a batch in one write, and wait for the confirms of all of it together.

aio-pika publishes message by message. Each message takes the channel's lock, waits for the socket,
and has a task and several futures of its own, which is most of what it costs. This module puts the
frames of a batch into one write, and leaves the answers to aiormq, the layer below aio-pika. It
relies on these undocumented parts of aiormq 7.2:

- `Channel.lock` is held by whoever writes, and `Channel.delivery_tag` counts the publishes, as the
  broker does;
- `Channel.confirmations` maps a delivery tag to the future that the ack resolves. A nack sets
  `DeliveryError` on it, a return `PublishError`; the ack that follows a return is ignored;
- `Channel.message_id_delivery_tag` finds the future of a return, which has no tag;
- `Channel.write_queue` takes a `ChannelFrame`, bytes that the connection writes in order;
- `Channel.max_content_size` is the size of a body that fits into one frame.

aiormq did not create the futures, so it does not resolve them when the channel closes. The callback
of `closing` does.
"""

import asyncio
from collections.abc import Iterator, Sequence
from functools import lru_cache

from aiormq.abc import ChannelFrame
from aiormq.exceptions import ChannelInvalidStateError
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.frame import marshal
from typing_extensions import override

from shared.broker.interface import Message, PublishOutcome
from shared.broker.rabbitmq.wire.fallback import OUTCOMES, PlainPublisher, distinct_ids
from shared.broker.rabbitmq.wire.header_frame import header_frame

Confirm = asyncio.Future[object]


class BatchPublisher(PlainPublisher):
    """Publishes all messages in one write."""

    @override
    async def _publish_fitting(self, messages: Sequence[Message]) -> dict[str, PublishOutcome]:
        ids = distinct_ids(messages)
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
        """Enqueue the frames, and register the futures of their confirms."""
        channel, loop = self._channel, asyncio.get_running_loop()
        confirms: list[Confirm] = [loop.create_future() for _ in ids]
        async with channel.lock:
            await channel.write_queue.put(ChannelFrame(payload=payload, should_close=False))
            # Nothing waits from here to the end, so the writer has not seen the frames yet and no
            # answer can be early. A cancelled `put` needs no rollback, as nothing was counted.
            for message_id, confirm in zip(ids, confirms, strict=True):
                channel.delivery_tag += 1
                channel.confirmations[channel.delivery_tag] = confirm
                channel.message_id_delivery_tag[message_id] = channel.delivery_tag
        return confirms

    async def _answers_or_close(self, confirms: Sequence[Confirm]) -> None:
        closing = self._channel.closing
        closing.add_done_callback(lambda _: _cancel_unanswered(confirms))
        try:
            await asyncio.wait(confirms)
        finally:
            closing.cancel()  # an observer of our own; the channel stays open

    def _forget(self, ids: Sequence[str], confirms: Sequence[Confirm]) -> None:
        """Remove everything that a late answer would be matched with."""
        _cancel_unanswered(confirms)
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


@lru_cache(maxsize=256)
def _publish_frame(exchange: str, routing_key: str, channel_number: int) -> bytes:
    """Return the method frame of a publish; many messages share one."""
    publish = Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True)
    return marshal(publish, channel_number)


def _unanswered() -> Confirm:
    return asyncio.get_running_loop().create_future()


def _cancel_unanswered(confirms: Sequence[Confirm]) -> None:
    for confirm in confirms:
        confirm.cancel()  # without effect on those that are answered


def _outcome(confirm: Confirm) -> PublishOutcome:
    if confirm.cancelled():
        return PublishOutcome.UNKNOWN
    return OUTCOMES.get(type(confirm.exception()), PublishOutcome.UNKNOWN)
