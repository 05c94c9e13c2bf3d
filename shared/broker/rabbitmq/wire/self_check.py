"""The self-check: a conversation with a broker of a few lines, over a socket inside the process.

It publishes and consumes as the fast client does. If every message is answered as it should be, and
one arrives as it was sent, the installed aio-pika, aiormq and pamqp are as this folder expects.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

from aiormq.abc import DeliveredMessage
from aiormq.connection import TransportFactory
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.commands import Basic, Channel, Confirm, Connection
from pamqp.frame import FrameTypes, marshal, unmarshal
from pamqp.header import ContentHeader
from typing_extensions import override
from yarl import URL

from shared.broker.interface import Delivery, Headers, Message, PublishOutcome
from shared.broker.rabbitmq.wire.abortable_connection import AbortableConnection, Streams
from shared.broker.rabbitmq.wire.batch_publish import BatchPublisher
from shared.broker.rabbitmq.wire.delivery_stream import ConsumingConnection
from shared.broker.rabbitmq.wire.fallback import Client
from shared.broker.topology import USER_HEADER

FAST: Final = Client(AbortableConnection, ConsumingConnection, BatchPublisher)

TIMEOUT: Final = 5.0  # seconds; it takes some milliseconds
TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)
HEADERS: Final[Headers] = {"x-schema-version": 1, USER_HEADER: "42"}
MESSAGES: Final = [
    Message("1", "unroutable", b"{}"),
    Message("2", "refused", b"{}", "watch.created", TIME),
    Message("3", "routed", b"{}", "watch.created", TIME, headers=HEADERS),
]
OUTCOMES: Final = [PublishOutcome.UNROUTABLE, PublishOutcome.REFUSED, PublishOutcome.CONFIRMED]

START: Final = Connection.Start(
    server_properties={"capabilities": {"publisher_confirms": True}}, mechanisms="PLAIN"
)
ANSWERS: Final[dict[type, Frame]] = {
    Connection.StartOk: Connection.Tune(frame_max=2**17),
    Connection.Open: Connection.OpenOk(),
    Connection.Close: Connection.CloseOk(),
    Channel.Open: Channel.OpenOk(),
    Confirm.Select: Confirm.SelectOk(),
}


class UnexpectedLibrary(Exception):
    """A library does something else than this folder expects."""


def check() -> None:
    """Raise any exception unless the fast client works with the installed libraries."""
    with ThreadPoolExecutor(1) as executor:  # an event loop may be running in this thread
        executor.submit(asyncio.run, _converse()).result()


async def _converse() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=theirs)
    broker = asyncio.create_task(_Broker(reader, writer).serve())
    try:
        with ours:
            await _connect(SocketTransportFactory(ours))
    finally:
        broker.cancel()
        writer.close()
        await asyncio.gather(broker, return_exceptions=True)


async def _connect(factory: TransportFactory) -> None:
    connection = ConsumingConnection(URL("amqp://localhost:1"), factory)
    try:
        async with asyncio.timeout(TIMEOUT):
            await connection.connect()
            await _publish_and_consume(connection)
            await connection.close()
    finally:
        connection.abort()


async def _publish_and_consume(connection: ConsumingConnection) -> None:
    channel = await connection.open_channel()
    deliveries: list[Delivery] = []
    connection.divert_deliveries(channel.number, deliveries.extend)
    outcomes = await BatchPublisher(channel, "exchange", TIMEOUT).publish(MESSAGES)
    if outcomes != OUTCOMES:
        raise UnexpectedLibrary(f"the outcomes of publishing are {outcomes}")
    await channel.basic_consume("", _ignore)
    if [_content(delivery) for delivery in deliveries] != [_content(MESSAGES[-1])]:
        raise UnexpectedLibrary(f"the deliveries are {deliveries}")


async def _ignore(_: DeliveredMessage) -> None:
    """Do nothing: a delivery that is not diverted is missed."""


def _content(one: Message | Delivery) -> tuple[object, ...]:
    return one.message_id, one.routing_key, one.body, one.type, one.timestamp, one.headers


class _Broker:
    """Answers what the client sends, and delivers the last message it was sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._content: list[FrameTypes] = []  # of the message that is being published
        self._delivery_tag = 0

    async def serve(self) -> None:
        await self._reader.readexactly(8)  # the version of the protocol
        self._send(0, START)
        while True:
            head = await self._reader.readexactly(7)
            rest = await self._reader.readexactly(int.from_bytes(head[3:]) + 1)
            _, channel, frame = unmarshal(head + rest)
            self._receive(channel, frame)

    def _receive(self, channel: int, frame: FrameTypes) -> None:
        if type(frame) in ANSWERS:
            self._send(channel, ANSWERS[type(frame)])
        elif isinstance(frame, Basic.Publish):
            self._publish, self._content = frame, []
        elif isinstance(frame, ContentHeader):
            self._content.append(frame)
        elif isinstance(frame, ContentBody):
            self._content.append(frame)
            self._confirm(channel, self._publish.routing_key)
        elif isinstance(frame, Basic.Consume):
            tag = frame.consumer_tag
            deliver = Basic.Deliver(tag, 1, exchange="exchange", routing_key="routed")
            self._send(channel, deliver, *self._content, Basic.ConsumeOk(tag))

    def _confirm(self, channel: int, routing_key: str) -> None:
        self._delivery_tag += 1
        if routing_key == "unroutable":
            returned = Basic.Return(312, "NO_ROUTE", "exchange", routing_key)
            self._send(channel, returned, *self._content)
        is_refused = routing_key == "refused"
        self._send(channel, (Basic.Nack if is_refused else Basic.Ack)(self._delivery_tag))

    def _send(self, channel: int, *frames: FrameTypes) -> None:
        self._writer.write(b"".join(marshal(frame, channel) for frame in frames))


class SocketTransportFactory(TransportFactory):
    """Returns the streams of a socket that is open."""

    def __init__(self, opened: socket.socket) -> None:
        self._opened = opened

    @override
    async def create(self, url: URL, **_options: Any) -> Streams:
        return await asyncio.open_connection(sock=self._opened)
