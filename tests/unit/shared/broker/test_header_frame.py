"""Frames from a template, against those that pamqp writes."""

from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.frame import marshal
from pamqp.header import ContentHeader

from shared.broker.interface import Message
from shared.broker.rabbitmq.wire.fallback import PERSISTENT
from shared.broker.rabbitmq.wire.header_frame import _template, header_frame
from shared.broker.topology import USER_HEADER

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
    headers=st.dictionaries(
        words | st.just(USER_HEADER), words | st.integers(0, 2**31), max_size=3
    ),
)


@given(messages, st.integers(1, 2**16 - 1))
@example(Message("  ", "", b"", type="  ", headers={"  ": "  "}), 1)
@example(
    Message("1", "", b"", headers={"y": "\tx-user-idS", USER_HEADER: "42", "a": USER_HEADER}), 1
)
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


def test_users_share_a_template_and_have_a_frame_each() -> None:
    before = _template.cache_info().misses

    frames = {
        header_frame(Message("id", "", b"", headers={USER_HEADER: str(user), "a": 1}), 9)
        for user in range(100, 1000)
    }

    assert len(frames) == 900
    assert _template.cache_info().misses == before + 1
