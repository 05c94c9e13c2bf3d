"""Post watches: one request for each, many at a time, until the service has answered.

A service that is away, restarting or overloaded is waited for; the key of a request makes sending
it again harmless.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Final, NamedTuple

import httpx

from shared.errors import CannotStart

REFUSALS: Final = frozenset({400, 409, 410, 413, 422, 500})  # of this watch; others may do well
PASSING: Final = frozenset({408, 429, 502, 503, 504})
FIRST_DELAY: Final = 0.1  # seconds
LAST_DELAY: Final = 5.0  # seconds
LONGEST_DEMAND: Final = 60.0  # seconds that a Retry-After is obeyed
TIMEOUT: Final = httpx.Timeout(30.0).as_dict()
LOOK_TIMEOUT: Final = 10.0  # seconds to find out whether somebody is there


class Answer(NamedTuple):
    """The last word on a watch. 201: recorded. 200: it was there already. Else: refused."""

    status: int
    reason: str = ""


class Patience:
    """How long to go on without a single answer, for all lanes together."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """Note that there was an answer."""
        self._deadline = time.monotonic() + self._seconds

    def check(self, trouble: str) -> None:
        """Raise `CannotStart` when it has been too long."""
        if time.monotonic() > self._deadline:
            raise CannotStart(f"Gave up after {self._seconds:g} seconds: {trouble}.")


class Lane:
    """One connection, and one request at a time on it."""

    def __init__(self, transport: httpx.AsyncBaseTransport, url: str, patience: Patience) -> None:
        self._transport = transport
        self._url = httpx.URL(f"{url}/watches")
        self._patience = patience

    async def post(self, body: bytes, key: bytes) -> Answer:
        """Return the service's answer, however long it takes as long as others get theirs.

        Raises `CannotStart` when nobody gets any, or the answer is no answer about a watch.
        """
        for delay in _delays():
            try:
                response = await self._exchange(body, key)
            except httpx.TransportError as error:
                demanded, trouble = 0.0, f"{self._url} does not answer ({_text(error)})"
            else:
                if response.status_code not in PASSING:
                    self._patience.renew()
                    return _answer(response)
                demanded, trouble = _demand(response), f"{self._url} answers {_status(response)}"
            self._patience.check(trouble)
            await asyncio.sleep(demanded + delay)
        raise AssertionError("delays never end")

    async def _exchange(self, body: bytes, key: bytes) -> httpx.Response:
        # Without what a client does around this, a request costs two thirds of the time.
        headers = [(b"Content-Type", b"application/json"), (b"Idempotency-Key", key)]
        request = httpx.Request(
            "POST", self._url, headers=headers, content=body, extensions={"timeout": TIMEOUT}
        )
        response = await self._transport.handle_async_request(request)
        response.request = request
        await response.aread()
        return response


@asynccontextmanager
async def open_lanes(url: str, count: int, patience: float) -> AsyncIterator[list[Lane]]:
    """Open so many lanes to the service at this address.

    Raises `CannotStart` at once when nobody is there.
    """
    await _look(url)
    shared_patience = Patience(patience)
    verify = httpx.create_ssl_context()
    async with AsyncExitStack() as stack:
        # A pool of its own for each: httpx looks through all connections of a pool for each
        # request, which with 64 of them takes four times as long as everything else together.
        transports = [httpx.AsyncHTTPTransport(verify=verify) for _ in range(count)]
        for transport in transports:
            await stack.enter_async_context(transport)
        yield [Lane(transport, url, shared_patience) for transport in transports]


async def _look(url: str) -> None:
    try:
        async with httpx.AsyncClient(timeout=LOOK_TIMEOUT, trust_env=False) as client:
            await client.get(f"{url}/health/live")
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise CannotStart(f"{url!r} is not an address like http://127.0.0.1:8000.") from None
    except httpx.TransportError:
        raise CannotStart(f"Nobody answers at {url}. Start the services with: make run") from None


def _delays() -> Iterator[float]:
    """Yield ever longer delays, each a little random, so that not all lanes come back at once."""
    longest = FIRST_DELAY
    while True:
        yield longest * random.uniform(0.5, 1.0)  # noqa: S311 - nothing secret about a delay
        longest = min(2 * longest, LAST_DELAY)


def _answer(response: httpx.Response) -> Answer:
    if response.status_code in (HTTPStatus.CREATED, HTTPStatus.OK):
        return Answer(response.status_code)
    if response.status_code in REFUSALS:
        return Answer(response.status_code, _reason(response))
    raise CannotStart(
        f"{response.request.url} answers {_status(response)}: is this the consumption service?"
    )


def _reason(response: httpx.Response) -> str:
    try:
        problem = json.loads(response.content)
        return str(problem.get("detail") or problem["title"])
    except (ValueError, KeyError, AttributeError):
        return _status(response)


def _status(response: httpx.Response) -> str:
    return f"{response.status_code} {response.reason_phrase}"


def _demand(response: httpx.Response) -> float:
    demanded = response.headers.get("Retry-After", "")
    return min(float(demanded), LONGEST_DEMAND) if demanded.isdecimal() else 0.0


def _text(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__
