"""The stream between the socket and aiormq: who gets which frame, however the bytes arrive."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from aiormq.exceptions import InvalidFrameError
from hypothesis import given
from hypothesis import strategies as st
from pamqp.body import ContentBody
from pamqp.commands import Basic, Channel
from pamqp.frame import marshal
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from shared.broker.interface import Delivery
from shared.broker.rabbitmq.wire.delivery_stream import HEARTBEAT_FRAME, DeliveryStream
from tests.support.eventually import within

OURS, OTHER = 1, 2  # channels


@dataclass(frozen=True)
class Frames:
    """Some frames that the broker sends together, and who is to get them."""

    sent: bytes
    taken: bytes | None  # the body of the delivery
    passed: bytes


def a_delivery(channel: int, parts: Sequence[bytes]) -> Frames:
    body = b"".join(parts)
    method = Basic.Deliver("tag", 1, False, "watch", "created")  # noqa: FBT003
    header = ContentHeader(body_size=len(body), properties=Basic.Properties())
    opening = marshal(method, channel) + marshal(header, channel)
    sent = opening + b"".join(marshal(ContentBody(part), channel) for part in parts)
    return Frames(sent, body, b"") if channel == OURS else Frames(sent, None, sent)


def another(sent: bytes) -> Frames:
    return Frames(sent, None, sent)


RETURNED = (
    marshal(Basic.Return(312, "NO_ROUTE", "watch", "created"), OURS)
    + marshal(ContentHeader(body_size=2, properties=Basic.Properties()), OURS)
    + marshal(ContentBody(b"{}"), OURS)
)
bodies = st.lists(st.binary(min_size=1, max_size=50), max_size=3)
conversations = st.lists(
    st.builds(a_delivery, st.sampled_from([OURS, OTHER]), bodies)
    | st.sampled_from(
        [
            another(marshal(Heartbeat(), 0)),
            another(marshal(Basic.QosOk(), OURS)),
            another(marshal(Channel.CloseOk(), OTHER)),
            another(RETURNED),
        ]
    ),
    max_size=20,
)


@given(conversations, st.lists(st.integers(1, 200), min_size=1))
def test_deliveries_are_taken_and_all_else_is_passed_on_as_it_came(
    conversation: Sequence[Frames], sizes: Sequence[int]
) -> None:
    taken, passed = asyncio.run(sorted_out(b"".join(one.sent for one in conversation), sizes))

    assert [one.body for one in taken] == [
        one.taken for one in conversation if one.taken is not None
    ]
    assert passed.replace(HEARTBEAT_FRAME, b"") == b"".join(
        one.passed for one in conversation
    ).replace(HEARTBEAT_FRAME, b"")


async def test_a_stream_of_deliveries_shows_that_the_broker_lives() -> None:
    _, passed = await sorted_out(a_delivery(OURS, [b"{}"]).sent * 100, [50])

    assert passed == HEARTBEAT_FRAME


@pytest.mark.parametrize(
    "nonsense", [b"AMQP\x00\x00\x09\x01", b"\x01\x00\x01\x00\x00\x00\x01\x00?"]
)
async def test_what_is_no_frame_is_left_to_aiormq_with_all_that_follows(nonsense: bytes) -> None:
    follows = a_delivery(OURS, [b"{}"]).sent

    taken, passed = await sorted_out(nonsense + follows, [1000])

    assert not taken
    assert passed == nonsense + follows


async def test_a_delivery_that_cannot_be_read_ends_the_connection() -> None:
    method = marshal(Basic.Deliver("tag", 1, False, "watch", "created"), OURS)  # noqa: FBT003

    with pytest.raises(InvalidFrameError):
        await sorted_out(method + b"\x02\x00\x01\x00\x00\x00\x01\x00\xce", [1000])


async def sorted_out(data: bytes, sizes: Sequence[int]) -> tuple[list[Delivery], bytes]:
    """Let the bytes arrive in pieces of these sizes; return what was taken, and what passed."""
    source, taken = asyncio.StreamReader(), list[Delivery]()
    stream = DeliveryStream(source)
    stream.divert(OURS, taken.extend)
    reading = asyncio.ensure_future(until_the_end(stream))
    at = 0
    while at < len(data):
        size = sizes[at % len(sizes)]
        source.feed_data(data[at : at + size])
        at += size
        await asyncio.sleep(0)
    source.feed_eof()
    return taken, await within(reading)


async def until_the_end(stream: DeliveryStream) -> bytes:
    passed = b""
    try:
        while not stream.at_eof():
            passed += await stream.readexactly(1)
    except asyncio.IncompleteReadError as end:
        passed += end.partial
    return passed
