"""The self-check of the client libraries, and what is done when it fails."""

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import aio_pika
import pytest
from aiormq.base import Base
from aiormq.channel import Channel

from shared.broker.interface import Message
from shared.broker.rabbitmq.wire import (
    PLAIN,
    batch_publish,
    checked_client,
    delivery_stream,
    self_check,
)
from shared.broker.rabbitmq.wire.header_frame import header_frame

Break = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def _unchecked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the check be made anew, before and after each test."""
    monkeypatch.setattr(self_check, "TIMEOUT", 0.5)
    checked_client.cache_clear()
    yield
    checked_client.cache_clear()


def test_the_installed_libraries_are_as_expected(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(self_check, "TIMEOUT", 60.0)

    assert checked_client() is self_check.FAST
    assert caplog.records == []


async def test_the_check_may_be_made_while_an_event_loop_runs() -> None:
    assert checked_client() is self_check.FAST


def lacking(attribute: str) -> Break:
    """Let channels have no such attribute."""

    def break_(monkeypatch: pytest.MonkeyPatch) -> None:
        create = Channel.__init__

        def create_without(self: Channel, *arguments: Any, **options: Any) -> None:
            create(self, *arguments, **options)
            delattr(self, attribute)

        monkeypatch.setattr(Channel, "__init__", create_without)

    return break_


def another_header_frame(message: Message, channel_number: int) -> bytes:
    return header_frame(message._replace(type="another"), channel_number)


class AnotherFrame:
    def __init__(self, data: bytes) -> None:
        self.data = data


BROKEN: dict[str, Break] = {
    "delivery_tag": lacking("delivery_tag"),
    "confirmations": lacking("confirmations"),
    "message_id_delivery_tag": lacking("message_id_delivery_tag"),
    "write_queue": lacking("write_queue"),
    "max_content_size": lacking("max_content_size"),
    "lock": lambda patch: patch.delattr(Channel, "lock"),
    "closing": lambda patch: patch.delattr(Base, "closing"),
    "ChannelFrame": lambda patch: patch.setattr(batch_publish, "ChannelFrame", AnotherFrame),
    "header frames": lambda patch: patch.setattr(
        batch_publish, "header_frame", another_header_frame
    ),
    "deliveries": lambda patch: patch.setattr(delivery_stream, "DELIVER", b"another"),
    "kwargs": lambda patch: patch.setattr(
        aio_pika.Connection, "kwargs", property(lambda _: {}, lambda *_: None), raising=False
    ),
    "import": lambda patch: patch.setitem(sys.modules, self_check.__name__, None),
}


@pytest.mark.parametrize("part", BROKEN)
def test_a_part_that_is_not_as_expected_is_avoided_with_one_warning(
    part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="shared")
    BROKEN[part](monkeypatch)

    assert checked_client() is PLAIN
    assert checked_client() is PLAIN

    [warning] = [record for record in caplog.records if record.name.startswith("shared")]
    assert "one by one" in warning.getMessage()
