"""What RabbitMQ answers when it is opened: it refuses, or it cannot be reached."""

import asyncio
import gc
import logging
import socket
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest
import uvloop
from yarl import URL

from shared.broker.interface import Broker, BrokerRefused, BrokerUnavailable
from shared.broker.rabbitmq.broker import RabbitMQ
from tests.contract.conversation import (
    LEARNER,
    PREFETCH,
    WATCHED,
)
from tests.contract.proxy import proxied
from tests.support.eventually import PATIENCE, within
from tests.support.http_client import open_client


async def test_wrong_credentials_are_refused_without_repeating_them(amqp_vhost: str) -> None:
    url = URL(amqp_vhost).with_password("s3cret")

    assert_one_sentence_about(await refusal(str(url)), "refuses the login of user 'guest'")


async def test_a_virtual_host_that_is_missing_is_refused(amqp_url: str) -> None:
    url = URL(amqp_url).with_user("guest").with_path("/nowhere")

    assert_one_sentence_about(await refusal(str(url)), "no virtual host 'nowhere'")


async def test_a_user_without_rights_is_refused(amqp_vhost: str, amqp_management_url: str) -> None:
    async with somebody(amqp_management_url, URL(amqp_vhost).path.strip("/")) as name:
        broker = RabbitMQ(str(URL(amqp_vhost).with_user(name).with_password("s3cret")))

        for attempt in (
            enter(broker.publisher(WATCHED)),
            enter(broker.subscription(LEARNER, PREFETCH)),
        ):
            with pytest.raises(BrokerRefused) as refused:
                await within(attempt)
            assert_one_sentence_about(str(refused.value), "ACCESS_REFUSED")


@pytest.mark.parametrize(
    "url",
    [
        "not a url",
        "http://u:s3cret@localhost/",
        "amqp://u:s3cret@localhost:port/",
        "amqps://u:s3cret@localhost/?cadata=a",
        "amqp:///vhost",
    ],
)
async def test_a_url_that_cannot_be_meant_is_refused(url: str) -> None:
    assert_one_sentence_about(await refusal(url), "URL")


async def test_a_broker_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        broker = RabbitMQ(f"amqp://u:s3cret@127.0.0.1:{reserved.getsockname()[1]}/")

        for attempt in attempts(broker):
            with pytest.raises(BrokerUnavailable) as outage:
                await within(attempt)
            assert_one_sentence_about(str(outage.value), "cannot be reached")


def test_a_connection_that_never_came_about_is_gone_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, logger="aiormq")  # a record would keep it
    with socket.socket() as reserved, asyncio.Runner() as runner:
        reserved.bind(("127.0.0.1", 0))
        broker = RabbitMQ(f"amqp://u:s3cret@127.0.0.1:{reserved.getsockname()[1]}/")
        with pytest.raises(BrokerUnavailable) as outage:
            runner.run(broker.depth(LEARNER))
        asyncio.run(asyncio.sleep(0))  # leaves this thread without a loop

        del outage
        gc.collect()  # what is said here fails the test


async def test_a_host_that_does_not_exist_is_unavailable() -> None:
    with pytest.raises(BrokerUnavailable):
        await RabbitMQ("amqp://u:s3cret@nowhere.invalid/").depth(LEARNER)


async def test_a_server_that_speaks_another_protocol_is_unavailable() -> None:
    async with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        with pytest.raises(BrokerUnavailable):
            await RabbitMQ(url).depth(LEARNER)


async def test_a_server_that_hangs_up_is_unavailable() -> None:
    async with listening(b"") as url:
        with pytest.raises(BrokerUnavailable):
            await RabbitMQ(url).depth(LEARNER)


def test_a_server_that_hangs_up_at_once_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        broker = RabbitMQ(f"amqp://u:s3cret@127.0.0.1:{listening.getsockname()[1]}/")
        threading.Thread(target=hang_up_for_ever, args=(listening,), daemon=True).start()

        async def ask_often() -> None:
            for _ in range(10):  # it depends on which side is faster, and on the kind of loop
                with pytest.raises(BrokerUnavailable, match="cannot be reached"):
                    await broker.depth(LEARNER)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(ask_often())


def hang_up_for_ever(listening: socket.socket) -> None:
    """Say goodbye to everybody who comes, and nothing else."""
    with suppress(OSError):  # it does not listen any more
        while True:
            listening.accept()[0].close()


async def test_a_server_that_says_nothing_is_unavailable_in_time(
    amqp_vhost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.broker.rabbitmq.connection.OPEN_TIMEOUT", 0.3)
    async with proxied(amqp_vhost) as proxy:
        proxy.freeze()
        for attempt in attempts(RabbitMQ(proxy.url)):
            with pytest.raises(BrokerUnavailable, match="does not answer"):
                await asyncio.wait_for(attempt, PATIENCE)


@asynccontextmanager
async def somebody(management_url: str, vhost: str) -> AsyncIterator[str]:
    """Let there be a user who may enter the virtual host, and do nothing there."""
    name = f"somebody-{vhost}"
    nothing = {"configure": "^$", "write": "^$", "read": "^$"}
    async with open_client(management_url) as client:
        await client.put(f"/api/users/{name}", json={"password": "s3cret", "tags": ""})
        await client.put(f"/api/permissions/{vhost}/{name}", json=nothing)
        yield name
        await client.delete(f"/api/users/{name}")


@asynccontextmanager
async def listening(greeting: bytes) -> AsyncIterator[str]:
    """Answer whatever is said with the greeting, and hang up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(greeting)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"amqp://u:s3cret@127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def refusal(url: str) -> str:
    """Return the text with which each way to use the broker is refused."""
    texts = set()
    for attempt in attempts(RabbitMQ(url)):
        with pytest.raises(BrokerRefused) as refused:
            await within(attempt)
        texts.add(str(refused.value))
    [text] = texts
    return text


def attempts(broker: Broker) -> list[Coroutine[None, None, object]]:
    return [
        broker.depth(LEARNER),
        enter(broker.publisher(WATCHED)),
        enter(broker.subscription(LEARNER, PREFETCH)),
    ]


async def enter(block: AbstractAsyncContextManager[object]) -> None:
    async with block:
        pytest.fail("it opened")


def assert_one_sentence_about(text: str, subject: str) -> None:
    assert subject in text
    assert "s3cret" not in text
    assert "\n" not in text
