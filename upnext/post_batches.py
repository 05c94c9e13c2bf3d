"""Post batches: watches or statements are sent until the service has answered for each.

A service that is down, restarting or overloaded is retried with back-off. The idempotency key of a
watch, and the id of a statement, make a retry harmless.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import httpx

from shared.errors import CannotStart
from upnext.credentials import credentials

MAX_BATCH: Final = 200  # watches in one request
REFUSED: Final = frozenset({400, 409, 410, 413, 422, 500})  # one item may be the cause
UNAUTHORIZED: Final = frozenset({401, 403})
RETRYABLE: Final = frozenset({408, 429, 502, 503, 504})
MIN_BACKOFF: Final = 0.1  # seconds
MAX_BACKOFF: Final = 5.0  # seconds
MAX_RETRY_AFTER: Final = 60.0  # seconds
TIMEOUT: Final = httpx.Timeout(30.0).as_dict()
PROBE_TIMEOUT: Final = 10.0  # seconds


class BatchItem(NamedTuple):
    """A watch or statement as JSON, and its idempotency key."""

    body: bytes
    key: bytes


class ItemResult(NamedTuple):
    """The final result of an item. 201: recorded. 200: it was there already. Else: refused."""

    status: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BatchEndpoint:
    """A route that takes batches, with its encoder and the decoder of its answer."""

    path: str
    encode: Callable[[Sequence[BatchItem]], bytes]
    decode: Callable[[bytes, int], list[ItemResult]]  # the body, and the number of items


class RetryDeadline:
    """The time without any answer after which all posters give up."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.extend()

    def extend(self) -> None:
        """Start again: there was an answer."""
        self._deadline = time.monotonic() + self._seconds

    def check(self, failure: str) -> None:
        """Raise `CannotStart` once the deadline has passed."""
        if time.monotonic() > self._deadline:
            raise CannotStart(f"Gave up after {self._seconds:g} seconds: {failure}.")


class BatchPoster:
    """One connection that sends one batch at a time."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        url: str,
        endpoint: BatchEndpoint,
        deadline: RetryDeadline,
    ) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._url = httpx.URL(f"{url}{endpoint.path}")
        self._headers = {"Content-Type": "application/json", **credentials()}
        self._deadline = deadline

    async def post(self, items: Sequence[BatchItem]) -> list[ItemResult]:
        """Return the result of each item; retry as long as any poster gets answers.

        Raises `CannotStart` at the deadline, or when the answer is not that of the service.
        """
        results: dict[BatchItem, ItemResult] = {}
        for delay in _backoff():
            pending = [item for item in items if item not in results]
            if not pending:
                return [results[item] for item in items]
            try:
                response = await self._request(pending)
            except httpx.TransportError as error:
                retry_after, failure = 0.0, f"{self._url} does not answer ({_text(error)})"
            else:
                if response.status_code not in RETRYABLE:
                    self._deadline.extend()
                    results |= await self._results(pending, response)
                    continue
                retry_after = _retry_after(response)
                failure = f"{self._url} answers {_status(response)}"
            self._deadline.check(failure)
            await asyncio.sleep(retry_after + delay)
        raise AssertionError("the back-off never ends")

    async def _results(
        self, items: Sequence[BatchItem], response: httpx.Response
    ) -> dict[BatchItem, ItemResult]:
        """Return the final results of an answer; a batch refused as a whole is sent in halves."""
        if response.status_code == HTTPStatus.OK:
            results = self._endpoint.decode(response.content, len(items))
            pairs = zip(items, results, strict=True)
            return {item: result for item, result in pairs if result.status not in RETRYABLE}
        if response.status_code in UNAUTHORIZED:
            raise CannotStart(f"{self._url} says: {_reason(response)} Set API_KEY to such a key.")
        if response.status_code not in REFUSED:
            raise CannotStart(
                f"{self._url} answers {_status(response)}: is this the consumption service?"
            )
        if len(items) == 1:
            return {items[0]: ItemResult(response.status_code, _reason(response))}
        half = len(items) // 2
        halves = [*await self.post(items[:half]), *await self.post(items[half:])]
        return dict(zip(items, halves, strict=True))

    async def _request(self, items: Sequence[BatchItem]) -> httpx.Response:
        # The transport alone takes two thirds of the time that httpx.AsyncClient takes.
        request = httpx.Request(
            "POST",
            self._url,
            headers=self._headers,
            content=self._endpoint.encode(items),
            extensions={"timeout": TIMEOUT},
        )
        response = await self._transport.handle_async_request(request)
        response.request = request
        await response.aread()
        return response


def _encode_watches(watches: Sequence[BatchItem]) -> bytes:
    items = (
        b'%b,"idempotency_key":"%b"}' % (watch.body.removesuffix(b"}"), watch.key)
        for watch in watches
    )
    return b'{"items":[%b]}' % b",".join(items)


def _decode_outcomes(body: bytes, _: int) -> list[ItemResult]:
    return [_item_result(outcome) for outcome in json.loads(body)["items"]]


def _encode_statements(statements: Sequence[BatchItem]) -> bytes:
    return b"[%b]" % b",".join(statement.body for statement in statements)


def _all_accepted(_: bytes, count: int) -> list[ItemResult]:
    return [ItemResult(HTTPStatus.OK)] * count


WATCHES: Final = BatchEndpoint("/watches/batch", _encode_watches, _decode_outcomes)
STATEMENTS: Final = BatchEndpoint("/xapi/statements", _encode_statements, _all_accepted)


@asynccontextmanager
async def open_posters(
    url: str, count: int, patience: float, endpoint: BatchEndpoint = WATCHES
) -> AsyncIterator[list[BatchPoster]]:
    """Open so many connections to the service; give up after `patience` seconds without answer.

    Raises `CannotStart` at once when the service cannot be reached.
    """
    await _probe(url)
    deadline = RetryDeadline(patience)
    verify = httpx.create_ssl_context()
    async with AsyncExitStack() as stack:
        # A pool for each: httpx scans all connections of a pool on each request, which with 64 of
        # them takes four times as long as everything else together.
        transports = [httpx.AsyncHTTPTransport(verify=verify) for _ in range(count)]
        for transport in transports:
            await stack.enter_async_context(transport)
        yield [BatchPoster(transport, url, endpoint, deadline) for transport in transports]


async def _probe(url: str) -> None:
    try:
        async with httpx.AsyncClient(timeout=PROBE_TIMEOUT, trust_env=False) as client:
            await client.get(f"{url}/health/live")
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise CannotStart(f"{url!r} is not an address like http://127.0.0.1:8000.") from None
    except httpx.TransportError:
        raise CannotStart(f"Nobody answers at {url}. Start the services with: make run") from None


def _backoff() -> Iterator[float]:
    """Yield exponential back-off delays, with jitter so that posters do not retry all at once."""
    delay = MIN_BACKOFF
    while True:
        yield delay * random.uniform(0.5, 1.0)  # noqa: S311 - nothing secret about a delay
        delay = min(2 * delay, MAX_BACKOFF)


def _item_result(outcome: Mapping[str, Any]) -> ItemResult:
    if outcome["status"] in (HTTPStatus.CREATED, HTTPStatus.OK):
        return ItemResult(outcome["status"])
    return ItemResult(outcome["status"], outcome["problem"]["detail"])


def _reason(response: httpx.Response) -> str:
    try:
        problem = json.loads(response.content)
        return str(problem.get("detail") or problem["title"])
    except (ValueError, KeyError, AttributeError):
        return _status(response)


def _status(response: httpx.Response) -> str:
    return f"{response.status_code} {response.reason_phrase}"


def _retry_after(response: httpx.Response) -> float:
    seconds = response.headers.get("Retry-After", "")
    return min(float(seconds), MAX_RETRY_AFTER) if seconds.isdecimal() else 0.0


def _text(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__
