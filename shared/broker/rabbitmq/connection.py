"""Connections to RabbitMQ: opened and closed in bounded time, with errors that people understand.

A lost connection is not reopened: its caller gets an error, and opens another one. An automatic
reconnect would hide which acknowledgements and confirms were lost.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, TypeVar

from aio_pika import connect
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
from shared.broker.rabbitmq.wire import PlainConnection

log = logging.getLogger(__name__)

C = TypeVar("C", bound=PlainConnection)

HEARTBEAT: Final = 10  # seconds; a peer that vanishes is noticed after 33
OPEN_TIMEOUT: Final = 10.0  # seconds to connect and to declare
CLOSE_TIMEOUT: Final = 2.0  # seconds for the broker to close the connection

# When the connection ends between two steps of its opening, aiormq raises `StopAsyncIteration`.
CONNECT_ERRORS: Final = (AMQPError, OSError, StopAsyncIteration)
LOST_ERRORS: Final = (AMQPError, ChannelInvalidStateError, OSError)
# "Not found" is none of them: a queue that was just declared is missing because its node is down.
REFUSED_ERRORS: Final = (ChannelAccessRefused, ChannelLockedResource, ChannelPreconditionFailed)


@asynccontextmanager
async def connected(url: URL, role: str, kind: type[C]) -> AsyncIterator[C]:
    """Connect for the length of the block. `role` names the connection in RabbitMQ's lists."""
    with _translated_connect_errors(url):
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


async def _close(connection: PlainConnection) -> None:
    """Close the connection; abort it if the broker does not answer in time."""
    closing = asyncio.ensure_future(connection.close())
    try:
        await asyncio.wait([closing], timeout=CLOSE_TIMEOUT)
    finally:
        connection.abort()
    await asyncio.wait([closing], timeout=CLOSE_TIMEOUT)
    if closing.done() and (error := closing.exception()):
        log.info("the connection to RabbitMQ did not end well: %r", error)


@asynccontextmanager
async def temporary_channel(connection: PlainConnection) -> AsyncIterator[Channel]:
    """Open a channel for the length of the block, for commands that may close it."""
    channel = await connection.open_channel()
    try:
        yield channel
    finally:
        await channel.close()


def parse_url(url: str) -> URL:
    """Return the URL with the default heartbeat, unless it sets its own."""
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
def _translated_connect_errors(url: URL) -> Iterator[None]:
    """Translate the errors of connecting. No text quotes the password."""
    try:
        yield
    except (ProbableAuthenticationError, AuthenticationError) as error:
        raise BrokerRefused(f"{address(url)} refuses the login of user {url.user!r}") from error
    except InvalidFrameError as error:
        raise _handshake_error(url, error) from error
    except ValueError as error:
        raise BrokerRefused(f"the URL of {address(url)} has an option of a wrong kind") from error
    except TimeoutError as error:
        raise BrokerUnavailable(f"{address(url)} does not answer in {OPEN_TIMEOUT:g} s") from error
    except CONNECT_ERRORS as error:
        raise _connect_error(url, error) from error


def _handshake_error(url: URL, error: InvalidFrameError) -> BrokerError:
    # When the broker closes the connection instead of opening the host, aiormq drops the reason.
    if "Connection.Close" in str(error):
        return BrokerRefused(
            f"{address(url)} has no virtual host {url.path.removeprefix('/') or '/'!r}"
            f" that user {url.user!r} may use"
        )
    return BrokerUnavailable(f"{address(url)} does not speak AMQP 0-9-1")


def _connect_error(url: URL, error: Exception) -> BrokerError:
    if isinstance(cause := error.__cause__, ssl.SSLCertVerificationError):
        why = cause.verify_message.rstrip(".")
        return BrokerRefused(f"{address(url)} shows a certificate that is not to be trusted: {why}")
    return BrokerUnavailable(f"{address(url)} cannot be reached: {_reason(error)}")


@contextmanager
def translated_errors(url: URL) -> Iterator[None]:
    """Translate the errors of commands on an open connection."""
    try:
        yield
    except ConnectionCommandInvalid as error:  # an exchange of a type that it does not know
        raise BrokerRefused(f"{address(url)} lacks a plugin: {_reason(error)}") from error
    except REFUSED_ERRORS as error:
        raise BrokerRefused(f"{address(url)} refuses: {_reason(error)}") from error
    except TimeoutError as error:
        raise BrokerUnavailable(f"{address(url)} does not answer in time") from error
    except LOST_ERRORS as error:
        raise BrokerUnavailable(f"{address(url)} cannot do it now: {_reason(error)}") from error


def address(url: URL) -> str:
    """Return how messages name the broker, without the password."""
    default = 5671 if url.scheme == "amqps" else 5672
    return f"RabbitMQ at {url.host}:{url.port or default}"


def _reason(error: BaseException) -> str:
    """Return the text of the broker, or the kind of error if there is no text."""
    texts = [argument for argument in error.args if isinstance(argument, str) and argument]
    return texts[-1] if texts else type(error).__name__
