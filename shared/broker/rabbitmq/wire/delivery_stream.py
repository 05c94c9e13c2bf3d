"""Take deliveries off a connection in bulk, before aiormq makes a task of each.

aiormq reads a delivery in nine steps, three for each frame, makes objects of all its parts, and
runs a task for it: three quarters of what consuming costs. This stream stands between the socket
and aiormq. It reads what has arrived, takes the deliveries of the channels that asked for it, and
passes every other frame on as it came. It relies on these parts of aiormq 7.2:

- a `TransportFactory` gives it the stream to read from, of which it uses `readexactly` and
  `at_eof`;
- the broker is taken for dead when no frame comes. While there are deliveries it sends nothing
  else, so a heartbeat is passed on for them.
"""

import asyncio
from collections.abc import Callable, Sequence
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

READ_SIZE: Final = 2**18  # bytes; all that an asyncio stream holds
METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8  # kinds of frames
KINDS: Final = frozenset({METHOD, HEADER, BODY, HEARTBEAT})
END: Final = 0xCE  # the last byte of a frame
SIGN_OF_LIFE: Final = bytes((HEARTBEAT, 0, 0, 0, 0, 0, 0, END))
INTERVAL: Final = 1.0  # seconds between signs of life

_FRAME: Final = Struct(">BHI")  # kind, channel, size

Take = Callable[[Sequence[Delivery]], None]


class Intake:
    """Puts together the deliveries of one channel."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._whole: list[Delivery] = []
        self._method: bytes | None = None  # a delivery has begun
        self._header = b""
        self._body: list[bytes] = []
        self._missing = 0  # bytes of the body

    def takes(self, kind: int, payload: bytes) -> bool:
        """Take the frame if it is part of a delivery."""
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
        assert self._method is not None  # noqa: S101 - tells mypy what `takes` has checked
        self._whole.append(delivery(self._method, self._header, b"".join(self._body)))
        self._method = None

    def hand_over(self) -> bool:
        """Hand on what is complete; return whether there was anything."""
        if not self._whole:
            return False
        self._take(self._whole)
        self._whole = []
        return True


class DeliveryStream:
    """What aiormq reads from: the socket's stream without the deliveries."""

    def __init__(self, source: asyncio.StreamReader) -> None:
        self._source = source
        self._intakes: dict[int, Intake] = {}  # by channel
        self._rest = b""  # of a frame that has not arrived completely
        self._passed = bytearray()
        self._is_sound = True
        self._lived_at = 0.0

    def take(self, channel: int, take: Take) -> None:
        """From now on hand the channel's deliveries to `take`, many at a time."""
        self._intakes[channel] = Intake(take)

    def at_eof(self) -> bool:
        """Whether there is nothing more to read, ever."""
        return not self._passed and self._source.at_eof()

    async def readexactly(self, count: int) -> bytes:
        """Return the next bytes of what is passed on."""
        while len(self._passed) < count:
            data = await self._source.read(READ_SIZE)
            if not data:
                raise asyncio.IncompleteReadError(bytes(self._passed), count)
            self._sort(data)
        chunk = bytes(self._passed[:count])
        del self._passed[:count]
        return chunk

    def _sort(self, data: bytes) -> None:
        try:
            self._sort_frames(self._rest + data if self._rest else data)
        except (StructError, IndexError, ValueError) as error:
            raise InvalidFrameError(f"a delivery cannot be read: {error!r}") from error
        for intake in self._intakes.values():
            if intake.hand_over():
                self._show_life()

    def _sort_frames(self, data: bytes) -> None:
        at, end = 0, len(data)
        while self._is_sound and end - at >= _FRAME.size:
            kind, channel, size = _FRAME.unpack_from(data, at)
            stop = at + _FRAME.size + size + 1
            if not self._seems_sound(kind, data, stop) or stop > end:
                break
            intake = self._intakes.get(channel)
            if not (intake and intake.takes(kind, data[at + _FRAME.size : stop - 1])):
                self._passed += data[at:stop]
            at = stop
        self._rest = data[at:]
        if not self._is_sound:  # aiormq says what is wrong
            self._passed += self._rest
            self._rest = b""

    def _seems_sound(self, kind: int, data: bytes, stop: int) -> bool:
        ends_well = stop > len(data) or data[stop - 1] == END
        self._is_sound = kind in KINDS and ends_well
        return self._is_sound

    def _show_life(self) -> None:
        now = monotonic()
        if now - self._lived_at > INTERVAL:
            self._passed += SIGN_OF_LIFE
            self._lived_at = now


class _Sorted(TransportFactory):
    """Opens the socket as another does, and puts our stream before it."""

    def __init__(self, opener: TransportFactory) -> None:
        self._opener = opener
        self.stream: DeliveryStream | None = None

    @override
    async def create(self, url: URL, **options: Any) -> Streams:
        reader, writer = await self._opener.create(url, **options)
        self.stream = DeliveryStream(reader)
        return cast("asyncio.StreamReader", self.stream), writer


class ConsumingConnection(AbortableConnection):
    """A connection whose deliveries can be taken off it."""

    def __init__(self, url: URL, **options: Any) -> None:
        super().__init__(url, **options)
        self._sorted = _Sorted(self.kwargs["transport_factory"])
        self.kwargs["transport_factory"] = self._sorted

    def take(self, channel: int, take: Take) -> None:
        """Hand the deliveries of a channel, which is not consuming yet, to `take`."""
        if self._sorted.stream is not None:
            self._sorted.stream.take(channel, take)
