"""Connections to RabbitMQ: opened and closed in bounded time, with errors that people understand.

A connection that is lost stays lost: whoever uses it gets an error, and opens another. Reconnecting
behind the user's back would hide which acknowledgements and confirms went down with it.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, TypeVar, cast

from aio_pika import connect
from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelLockedResource,
    ChannelPreconditionFailed,
    ConnectionCommandInvalid,
    InvalidFrameError,
    ProbableAuthenticationError,
)
from yarl import URL

from shared.broker.interface import BrokerError, BrokerRefused, BrokerUnavailable
from shared.broker.rabbitmq.wire.abortable_connection import AbortableConnection

log = logging.getLogger(__name__)

C = TypeVar("C", bound=AbortableConnection)

HEARTBEAT: Final = 10  # seconds; a peer that is gone without a word is noticed after 33
OPEN_TIMEOUT: Final = 10.0  # seconds to connect and to declare
CLOSE_TIMEOUT: Final = 2.0  # seconds for the broker to say goodbye

# When the connection ends between two steps of its opening, aiormq raises what ends loops.
HUNG_UP: Final = (AMQPError, OSError, StopAsyncIteration)
LOST: Final = (AMQPError, ChannelInvalidStateError, OSError)
# "Not found" is none of them: what was just declared is missing because its home is down.
REFUSALS: Final = (ChannelAccessRefused, ChannelLockedResource, ChannelPreconditionFailed)


@asynccontextmanager
async def connected(url: URL, role: str, kind: type[C]) -> AsyncIterator[C]:
    """Connect for the length of the block. `role` is what an operator sees in lists."""
    with _explained_connecting(url):
        async with asyncio.timeout(OPEN_TIMEOUT):
            connection = await connect(
                url,
                client_properties={"connection_name": role},
                connection_class=kind,
            )
    try:
        yield connection
    finally:
        await _close(connection)


async def _close(connection: AbortableConnection) -> None:
    """Say goodbye to a broker that listens, and hang up on one that does not."""
    goodbye = asyncio.ensure_future(connection.close())
    try:
        await asyncio.wait([goodbye], timeout=CLOSE_TIMEOUT)
    finally:
        connection.cut()
    await asyncio.wait([goodbye], timeout=CLOSE_TIMEOUT)
    if goodbye.done() and (error := goodbye.exception()):
        log.info("the connection to RabbitMQ did not end well: %r", error)


async def open_channel(connection: AbstractConnection) -> Channel:
    """Open a channel with confirms, on which an unroutable message is a failure.

    It is a channel of aiormq, the layer below aio-pika, whose own can neither publish nor
    acknowledge in batches.
    """
    transport = connection.transport
    if transport is None or transport.connection.is_closed:
        raise ChannelInvalidStateError("the connection was closed")
    channel = await transport.connection.channel(publisher_confirms=True, on_return_raises=True)
    return cast("Channel", channel)


@asynccontextmanager
async def passing_channel(connection: AbstractConnection) -> AsyncIterator[Channel]:
    """Open a channel for the length of the block, that may be lost without harm."""
    channel = await open_channel(connection)
    try:
        yield channel
    finally:
        await channel.close()


def parsed(url: str) -> URL:
    """Return the URL with our heartbeat, unless it sets its own."""
    try:
        parsed_url = URL(url)
    except ValueError:
        # The cause is not chained: it would quote the URL with its password.
        raise _NOT_A_URL from None
    if parsed_url.scheme not in {"amqp", "amqps"} or not parsed_url.host:
        raise _NOT_A_URL
    if (authority := parsed_url.query.get("cafile")) and not Path(authority).is_file():
        raise BrokerRefused(f"the URL of RabbitMQ: there is no file {authority} (cafile)")
    if "heartbeat" not in parsed_url.query:
        parsed_url = parsed_url.update_query(heartbeat=HEARTBEAT)
    return parsed_url


_NOT_A_URL: Final = BrokerRefused(
    "the URL of RabbitMQ must look like amqp://user:password@host:port/vhost"
)


@contextmanager
def _explained_connecting(url: URL) -> Iterator[None]:
    """Translate what can go wrong while connecting; nothing of it quotes the password."""
    try:
        yield
    except (ProbableAuthenticationError, AuthenticationError) as error:
        raise BrokerRefused(f"{place(url)} refuses the login of user {url.user!r}") from error
    except InvalidFrameError as error:
        raise _refused_host(url, error) from error
    except ValueError as error:
        raise BrokerRefused(f"the URL of {place(url)} has an option of a wrong kind") from error
    except TimeoutError as error:
        raise BrokerUnavailable(f"{place(url)} does not answer in {OPEN_TIMEOUT:g} s") from error
    except HUNG_UP as error:
        raise _unreachable(url, error) from error


def _refused_host(url: URL, error: InvalidFrameError) -> BrokerError:
    # aiormq drops the broker's reason when it closes the connection instead of opening the host.
    if "Connection.Close" in str(error):
        return BrokerRefused(
            f"{place(url)} has no virtual host {url.path.removeprefix('/') or '/'!r}"
            f" that user {url.user!r} may use"
        )
    return BrokerUnavailable(f"{place(url)} does not speak AMQP 0-9-1")


def _unreachable(url: URL, error: Exception) -> BrokerError:
    if isinstance(cause := error.__cause__, ssl.SSLCertVerificationError):
        why = cause.verify_message.rstrip(".")
        return BrokerRefused(f"{place(url)} shows a certificate that is not to be trusted: {why}")
    return BrokerUnavailable(f"{place(url)} cannot be reached: {_reason(error)}")


@contextmanager
def explained(url: URL) -> Iterator[None]:
    """Translate what can go wrong on an open connection while declaring and asking."""
    try:
        yield
    except ConnectionCommandInvalid as error:  # an exchange of a type that it does not know
        raise BrokerRefused(f"{place(url)} lacks a plugin: {_reason(error)}") from error
    except REFUSALS as error:
        raise BrokerRefused(f"{place(url)} refuses: {_reason(error)}") from error
    except TimeoutError as error:
        raise BrokerUnavailable(f"{place(url)} does not answer in time") from error
    except LOST as error:
        raise BrokerUnavailable(f"{place(url)} cannot do it now: {_reason(error)}") from error


def place(url: URL) -> str:
    """Name the broker in a message, without the password."""
    usual = 5671 if url.scheme == "amqps" else 5672
    return f"RabbitMQ at {url.host}:{url.port or usual}"


def _reason(error: BaseException) -> str:
    """Return the broker's own words, or the kind of error where there are none."""
    words = [argument for argument in error.args if isinstance(argument, str) and argument]
    return words[-1] if words else type(error).__name__
