"""Deliveries as we read them, against pamqp, which writes them and reads all of them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.common import FieldTable
from pamqp.header import ContentHeader

from recommendation_service.consume.parse import check_envelope
from recommendation_service.event import Unprocessable
from shared.broker.rabbitmq.wire.delivered_content import _cached_headers, body_size, delivery
from shared.broker.topology import USER_HEADER

short_texts = st.text(max_size=40)
optional_texts = st.none() | st.text(min_size=1, max_size=40)
times = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)).map(  # noqa: DTZ001
    lambda time: time.replace(microsecond=0, tzinfo=UTC)
)
headers = st.dictionaries(
    st.text(min_size=1, max_size=20) | st.just(USER_HEADER),
    st.text(max_size=20) | st.integers(-(2**31), 2**31) | st.none() | st.just("\tx-user-idS"),
)
everything = st.builds(
    Basic.Properties,
    content_type=optional_texts,
    content_encoding=optional_texts,
    headers=st.none() | headers,
    delivery_mode=st.none() | st.sampled_from([1, 2]),
    priority=st.none() | st.integers(0, 255),
    correlation_id=optional_texts,
    reply_to=optional_texts,
    expiration=optional_texts,
    message_id=optional_texts,
    timestamp=st.none() | times,
    message_type=optional_texts,
    user_id=optional_texts,
    app_id=optional_texts,
)
methods = st.builds(
    Basic.Deliver,
    consumer_tag=short_texts,
    delivery_tag=st.integers(1, 2**63 - 1),
    redelivered=st.booleans(),
    exchange=st.sampled_from(["", "watch"]),
    routing_key=short_texts,
)


@given(methods, everything, st.binary())
def test_everything_a_delivery_says_is_read_as_pamqp_reads_it(
    method: Basic.Deliver, properties: Basic.Properties, body: bytes
) -> None:
    header = ContentHeader(body_size=len(body), properties=properties).marshal()
    theirs = ContentHeader()
    theirs.unmarshal(header)
    expected = theirs.properties

    read = delivery(payload_of(method), header, body)

    assert body_size(header) == len(body)
    assert (read.tag, read.redelivered) == (method.delivery_tag, method.redelivered)
    assert (read.routing_key, read.body) == (method.routing_key, body)
    assert (read.message_id, read.type) == (
        expected.message_id,
        expected.message_type,
    )
    assert read.timestamp == expected.timestamp
    assert read.headers == (expected.headers or {})


def test_the_headers_of_all_users_are_read_once() -> None:
    method = payload_of(Basic.Deliver("tag", 1, False, "", "created"))  # noqa: FBT003
    before = _cached_headers.cache_info().misses

    for user in range(1000):
        headers: FieldTable = {"x-schema-version": 1, "another": "one", USER_HEADER: str(user)}
        header = ContentHeader(properties=Basic.Properties(headers=headers)).marshal()
        assert delivery(method, header, b"").headers == headers

    assert _cached_headers.cache_info().misses == before + 1


@given(st.integers(0, 100), st.booleans())
def test_the_queue_counts_the_deliveries(count: int, redelivered: bool) -> None:  # noqa: FBT001
    method = Basic.Deliver("tag", 1, redelivered, "", "created")
    counted = ContentHeader(properties=Basic.Properties(headers={"x-delivery-count": count}))
    not_counted = ContentHeader(properties=Basic.Properties())

    assert delivery(payload_of(method), counted.marshal(), b"").delivery_count == count
    assert delivery(payload_of(method), not_counted.marshal(), b"").delivery_count == redelivered


def test_ids_that_are_no_text_stay_apart() -> None:
    method = payload_of(Basic.Deliver("tag", 1, False, "", "created"))  # noqa: FBT003
    text = ContentHeader(properties=Basic.Properties(message_id="abc")).marshal()
    one, other = text.replace(b"abc", b"a\xff\xfe"), text.replace(b"abc", b"a\xfe\xff")

    ids = {delivery(method, header, b"").message_id for header in (text, one, other)}

    assert len(ids) == 3


def test_a_time_beyond_all_calendars_is_none() -> None:
    method = payload_of(Basic.Deliver("tag", 1, False, "", "created"))  # noqa: FBT003
    stamped = ContentHeader(properties=Basic.Properties(timestamp=datetime(2026, 1, 1, tzinfo=UTC)))
    header = stamped.marshal()

    assert delivery(method, header[:-8] + b"\xff" * 8, b"").timestamp is None


@pytest.mark.parametrize(
    "table",
    [
        b"\x01aT" + b"\xff" * 8,  # a time beyond all calendars
        b"\x02\xff\xfet\x01",  # a name that is no text
        b"\x01a?\x00",  # a type that nobody knows
        b"\x01aI\x00",  # a number that ends too soon
    ],
)
def test_headers_that_cannot_be_read_are_of_an_unknown_version(table: bytes) -> None:
    method = payload_of(Basic.Deliver("tag", 7, True, "", "created"))  # noqa: FBT003
    written = ContentHeader(properties=Basic.Properties(headers={}, message_id="abc")).marshal()
    size = len(table).to_bytes(4, "big")
    header = written.replace(bytes(4) + b"\x03abc", size + table + b"\x03abc")

    read = delivery(method, header, b"")

    assert (read.tag, read.message_id, read.delivery_count) == (7, "abc", 1)
    with pytest.raises(Unprocessable, match="the headers cannot be read"):
        check_envelope(read, max_bytes=100)


def payload_of(method: Basic.Deliver) -> bytes:
    return method.index.to_bytes(4, "big") + method.marshal()
