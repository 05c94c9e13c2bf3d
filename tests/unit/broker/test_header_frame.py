"""Frames from a template, against those that pamqp writes."""

from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.frame import marshal
from pamqp.header import ContentHeader

from shared.broker.header_frame import PERSISTENT, header_frame
from shared.broker.interface import Message

words = st.text(max_size=40)  # of four bytes at most: a short string has up to 255
times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
messages = st.builds(
    Message,
    message_id=words.filter(bool),
    routing_key=words,
    body=st.binary(max_size=300),
    type=words,
    timestamp=st.none() | times,
    content_type=words,
    headers=st.dictionaries(words, words | st.integers(0, 2**31), max_size=3),
)


@given(messages, st.integers(1, 2**16 - 1))
@example(Message("  ", "", b"", type="  ", headers={"  ": "  "}), 1)
def test_a_frame_is_the_one_that_pamqp_writes(message: Message, channel_number: int) -> None:
    properties = Basic.Properties(
        content_type=message.content_type,
        headers=dict(message.headers) or None,
        delivery_mode=PERSISTENT,
        message_id=message.message_id,
        timestamp=message.timestamp,
        message_type=message.type,
    )
    header = ContentHeader(body_size=len(message.body), properties=properties)

    assert header_frame(message, channel_number) == marshal(header, channel_number)
