"""Post watches, or statements: in batches, until the service has answered for each.

A service that is away, restarting or overloaded is waited for; the key of a watch makes sending it
again harmless.
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
REFUSALS: Final = frozenset({400, 409, 410, 413, 422, 500})  # of this watch; others may do well
DENIALS: Final = frozenset({401, 403})  # of whoever asks
PASSING: Final = frozenset({408, 429, 502, 503, 504})
FIRST_DELAY: Final = 0.1  # seconds
LAST_DELAY: Final = 5.0  # seconds
LONGEST_DEMAND: Final = 60.0  # seconds that a Retry-After is obeyed
TIMEOUT: Final = httpx.Timeout(30.0).as_dict()
LOOK_TIMEOUT: Final = 10.0  # seconds to find out whether somebody is there


class Posted(NamedTuple):
    """A watch as JSON, and the key that makes sending it again harmless."""

    body: bytes
    key: bytes


class Answer(NamedTuple):
    """The last word on a watch. 201: recorded. 200: it was there already. Else: refused."""

    status: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a batch goes, how it is written, and what the answer says of each of so many."""

    path: str
    written: Callable[[Sequence[Posted]], bytes]
    outcomes: Callable[[bytes, int], list[Answer]]


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

    def __init__(
        self, transport: httpx.AsyncBaseTransport, url: str, target: Target, patience: Patience
    ) -> None:
        self._transport = transport
        self._target = target
        self._url = httpx.URL(f"{url}{target.path}")
        self._headers = {"Content-Type": "application/json", **credentials()}
        self._patience = patience

    async def post(self, watches: Sequence[Posted]) -> list[Answer]:
        """Return the answer for each watch, however long it takes as long as others get theirs.

        Raises `CannotStart` when nobody gets any, or the answer is no answer about watches.
        """
        answers: dict[Posted, Answer] = {}
        for delay in _delays():
            waiting = [watch for watch in watches if watch not in answers]
            if not waiting:
                return [answers[watch] for watch in watches]
            try:
                response = await self._exchange(waiting)
            except httpx.TransportError as error:
                demanded, trouble = 0.0, f"{self._url} does not answer ({_text(error)})"
            else:
                if response.status_code not in PASSING:
                    self._patience.renew()
                    answers |= await self._answers(waiting, response)
                    continue
                demanded, trouble = _demand(response), f"{self._url} answers {_status(response)}"
            self._patience.check(trouble)
            await asyncio.sleep(demanded + delay)
        raise AssertionError("delays never end")

    async def _answers(
        self, watches: Sequence[Posted], response: httpx.Response
    ) -> dict[Posted, Answer]:
        """Return the last words in an answer; what is refused as a whole goes in halves."""
        if response.status_code == HTTPStatus.OK:
            outcomes = self._target.outcomes(response.content, len(watches))
            pairs = zip(watches, outcomes, strict=True)
            return {watch: answer for watch, answer in pairs if answer.status not in PASSING}
        if response.status_code in DENIALS:
            raise CannotStart(f"{self._url} says: {_reason(response)} Set API_KEY to such a key.")
        if response.status_code not in REFUSALS:
            raise CannotStart(
                f"{self._url} answers {_status(response)}: is this the consumption service?"
            )
        if len(watches) == 1:
            return {watches[0]: Answer(response.status_code, _reason(response))}
        half = len(watches) // 2
        answers = [*await self.post(watches[:half]), *await self.post(watches[half:])]
        return dict(zip(watches, answers, strict=True))

    async def _exchange(self, watches: Sequence[Posted]) -> httpx.Response:
        # Without what a client does around this, a request costs two thirds of the time.
        request = httpx.Request(
            "POST",
            self._url,
            headers=self._headers,
            content=self._target.written(watches),
            extensions={"timeout": TIMEOUT},
        )
        response = await self._transport.handle_async_request(request)
        response.request = request
        await response.aread()
        return response


def _written_watches(watches: Sequence[Posted]) -> bytes:
    items = (
        b'%b,"idempotency_key":"%b"}' % (watch.body.removesuffix(b"}"), watch.key)
        for watch in watches
    )
    return b'{"items":[%b]}' % b",".join(items)


def _outcomes(answer: bytes, _: int) -> list[Answer]:
    return [_answer(outcome) for outcome in json.loads(answer)["items"]]


def _written_statements(statements: Sequence[Posted]) -> bytes:
    return b"[%b]" % b",".join(statement.body for statement in statements)


def _all_accepted(_: bytes, count: int) -> list[Answer]:
    return [Answer(HTTPStatus.OK)] * count


WATCHES: Final = Target("/watches/batch", _written_watches, _outcomes)
STATEMENTS: Final = Target("/xapi/statements", _written_statements, _all_accepted)


@asynccontextmanager
async def open_lanes(
    url: str, count: int, patience: float, target: Target = WATCHES
) -> AsyncIterator[list[Lane]]:
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
        yield [Lane(transport, url, target, shared_patience) for transport in transports]


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


def _answer(outcome: Mapping[str, Any]) -> Answer:
    if outcome["status"] in (HTTPStatus.CREATED, HTTPStatus.OK):
        return Answer(outcome["status"])
    return Answer(outcome["status"], outcome["problem"]["detail"])


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
