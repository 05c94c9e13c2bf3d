"""Take deliveries off a connection in bulk, before aiormq makes a task of each.

aiormq reads a delivery in nine steps, three for each frame, creates objects of all its parts, and
runs a task for it: three quarters of what consuming costs. This stream stands between the socket
and aiormq. It reads what has arrived, takes out the deliveries of the channels that asked for it,
and forwards every other frame unchanged. It relies on these undocumented parts of aiormq 7.2:

- a `TransportFactory` gives it the stream to read from, of which it uses `readexactly` and
  `at_eof` only;
- a broker counts as dead when no frame arrives for some time. RabbitMQ sends no heartbeats while it
  sends deliveries, so a heartbeat is forwarded for them.
"""

import asyncio
from struct import Struct
from struct import error as StructError  # noqa: N812 - what it is
from time import monotonic
from typing import Any, Final, cast

from aiormq.connection import TransportFactory
from aiormq.exceptions import InvalidFrameError
from typing_extensions import override
from yarl import URL

from shared.broker.interface import Delivery
from shared.broker.rabbitmq.wire.abortable_connection import AbortableConnection, Streams
from shared.broker.rabbitmq.wire.delivered_content import DELIVER, body_size, delivery
from shared.broker.rabbitmq.wire.fallback import OnDeliveries

READ_SIZE: Final = 2**18  # bytes; all that an asyncio stream holds
METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8  # kinds of frames
KINDS: Final = frozenset({METHOD, HEADER, BODY, HEARTBEAT})
FRAME_END: Final = 0xCE  # the last byte of a frame
HEARTBEAT_FRAME: Final = bytes((HEARTBEAT, 0, 0, 0, 0, 0, 0, FRAME_END))
HEARTBEAT_INTERVAL: Final = 1.0  # seconds

_FRAME: Final = Struct(">BHI")  # kind, channel, size


class DeliveryAssembler:
    """Assembles the deliveries of one channel from their frames."""

    def __init__(self, on_deliveries: OnDeliveries) -> None:
        self._on_deliveries = on_deliveries
        self._complete: list[Delivery] = []
        self._method: bytes | None = None  # of the delivery that is incomplete
        self._header = b""
        self._body: list[bytes] = []
        self._missing = 0  # bytes of the body

    def accept(self, kind: int, payload: bytes) -> bool:
        """Take the frame if it is part of a delivery; tell whether it was."""
        if kind == METHOD:
            self._method = payload if payload.startswith(DELIVER) else None
            return self._method is not None
        if self._method is None:
            return False
        if kind == HEADER:
            self._begin(payload)
        else:
            self._add(payload)
        return True

    def _begin(self, header: bytes) -> None:
        self._header, self._body = header, []
        self._missing = body_size(header)
        if not self._missing:
            self._finish()

    def _add(self, part: bytes) -> None:
        self._body.append(part)
        self._missing -= len(part)
        if self._missing <= 0:
            self._finish()

    def _finish(self) -> None:
        assert self._method is not None  # noqa: S101 - tells mypy what `accept` has checked
        self._complete.append(delivery(self._method, self._header, b"".join(self._body)))
        self._method = None

    def flush(self) -> bool:
        """Pass on the complete deliveries; tell whether there were any."""
        if not self._complete:
            return False
        self._on_deliveries(self._complete)
        self._complete = []
        return True


class DeliveryStream:
    """What aiormq reads from: the socket's stream without the diverted deliveries."""

    def __init__(self, source: asyncio.StreamReader) -> None:
        self._source = source
        self._assemblers: dict[int, DeliveryAssembler] = {}  # by channel
        self._rest = b""  # the beginning of a frame whose end has not arrived
        self._forwarded = bytearray()
        self._is_valid = True
        self._heartbeat_at = 0.0

    def divert(self, channel: int, on_deliveries: OnDeliveries) -> None:
        """From now on pass the channel's deliveries to the callback, many at a time."""
        self._assemblers[channel] = DeliveryAssembler(on_deliveries)

    def at_eof(self) -> bool:
        """Whether there is nothing more to read, ever."""
        return not self._forwarded and self._source.at_eof()

    async def readexactly(self, count: int) -> bytes:
        """Return the next bytes of the frames that are forwarded."""
        while len(self._forwarded) < count:
            data = await self._source.read(READ_SIZE)
            if not data:
                raise asyncio.IncompleteReadError(bytes(self._forwarded), count)
            self._dispatch(data)
        chunk = bytes(self._forwarded[:count])
        del self._forwarded[:count]
        return chunk

    def _dispatch(self, data: bytes) -> None:
        try:
            self._dispatch_frames(self._rest + data if self._rest else data)
        except (StructError, IndexError, ValueError) as error:
            raise InvalidFrameError(f"a delivery cannot be read: {error!r}") from error
        for assembler in self._assemblers.values():
            if assembler.flush():
                self._forward_heartbeat()

    def _dispatch_frames(self, data: bytes) -> None:
        at, end = 0, len(data)
        while self._is_valid and end - at >= _FRAME.size:
            kind, channel, size = _FRAME.unpack_from(data, at)
            stop = at + _FRAME.size + size + 1
            if not self._validate(kind, data, stop) or stop > end:
                break
            assembler = self._assemblers.get(channel)
            if not (assembler and assembler.accept(kind, data[at + _FRAME.size : stop - 1])):
                self._forwarded += data[at:stop]
            at = stop
        self._rest = data[at:]
        if not self._is_valid:  # aiormq reports what is wrong
            self._forwarded += self._rest
            self._rest = b""

    def _validate(self, kind: int, data: bytes, stop: int) -> bool:
        ends_well = stop > len(data) or data[stop - 1] == FRAME_END
        self._is_valid = kind in KINDS and ends_well
        return self._is_valid

    def _forward_heartbeat(self) -> None:
        now = monotonic()
        if now - self._heartbeat_at > HEARTBEAT_INTERVAL:
            self._forwarded += HEARTBEAT_FRAME
            self._heartbeat_at = now


class DeliveryStreamFactory(TransportFactory):
    """Opens the socket as another factory does, and puts a `DeliveryStream` before it."""

    def __init__(self, factory: TransportFactory) -> None:
        self._factory = factory
        self.stream: DeliveryStream | None = None

    @override
    async def create(self, url: URL, **options: Any) -> Streams:
        reader, writer = await self._factory.create(url, **options)
        self.stream = DeliveryStream(reader)
        return cast("asyncio.StreamReader", self.stream), writer


class ConsumingConnection(AbortableConnection):
    """A connection whose deliveries can be diverted from aiormq."""

    def __init__(self, url: URL, factory: TransportFactory | None = None, **options: Any) -> None:
        super().__init__(url, factory, **options)
        self._streams = DeliveryStreamFactory(self.kwargs["transport_factory"])
        self.kwargs["transport_factory"] = self._streams

    @override
    def divert_deliveries(self, channel: int, on_deliveries: OnDeliveries) -> None:
        """Pass the deliveries of a channel, which is not consuming yet, to the callback."""
        if self._streams.stream is not None:
            self._streams.stream.divert(channel, on_deliveries)
