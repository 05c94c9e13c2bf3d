"""What one client can take from the service: so much, and the others are served all the same."""

import asyncio
import json
import resource
from collections.abc import Generator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.support.eventually import eventually, within
from tests.support.http_client import ask, tell
from tests.support.product import Product, running_product
from tests.support.raw_http import PATIENCE, PROBLEM, Answer, Client, connected, post, post_chunks

WATCH: Final = b'{"user_id": 42, "lesson_id": 100, "position": 314}'
LOOK: Final = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
MEBIBYTE: Final = 2**20

MAX_HEADER_BYTES: Final = 4096
SHORT: Final = {"MAX_HEADER_BYTES": str(MAX_HEADER_BYTES)}
IMPATIENT: Final = {"REQUEST_TIMEOUT": "2", "KEEP_ALIVE": "2"}

TOO_LONG: Final = {
    "one header": post(WATCH, b"X-Name: " + b"x" * MAX_HEADER_BYTES),
    "many headers": post(WATCH, *(b"X-Name: " + b"x" * 80 for _ in range(MAX_HEADER_BYTES // 88))),
    "very many headers": post(WATCH, *(b"X-Name: 1" for _ in range(100))),
    "a name": post(WATCH, b"x" * MAX_HEADER_BYTES + b": 1"),
    "the path": b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"x" * MAX_HEADER_BYTES),
    "the query": b"GET /watches?%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"&" * MAX_HEADER_BYTES),
    "trailers": post_chunks(b"0\r\nX-Name: " + b"x" * MAX_HEADER_BYTES + b"\r\n\r\n"),
    "no end": b"GET / HTTP/1.1\r\nX-Name: " + b"x" * MEBIBYTE,
    "no end of many": b"GET / HTTP/1.1\r\n" + b"X-Name: 1\r\n" * (MEBIBYTE // 10),
}
UNFINISHED: Final = {
    "the method": b"PO",
    "the headers": post(WATCH)[:40],
    "a body": post(WATCH)[:-1],
    "a body shorter than its length": post(WATCH, length=len(WATCH) + 10),
    "chunks": post_chunks(b"%x\r\n%b\r\n" % (len(WATCH), WATCH)),
    "trailers": post_chunks(b"%x\r\n%b\r\n0\r\n" % (len(WATCH), WATCH)),
}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Generator[Product]:
    with running_product(tmp_path_factory.mktemp("short"), SHORT) as product:
        yield product


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Generator[Product]:
    with running_product(tmp_path_factory.mktemp("impatient"), IMPATIENT) as product:
        yield product


@pytest.mark.parametrize("request_bytes", TOO_LONG.values(), ids=TOO_LONG.keys())
async def test_a_head_that_is_too_long_is_refused(short: Product, request_bytes: bytes) -> None:
    async with connected(short.consumption_url) as client:
        sending = asyncio.create_task(client.send(request_bytes))
        answer = await client.answer()
        assert await client.is_closed()
        await within(sending)

    assert is_problem(answer, 431, "request-header-fields-too-large")
    assert nothing_is_stored(short)


async def test_a_head_may_be_almost_as_long_as_the_limit(short: Product) -> None:
    head = b"X-Name: " + b"x" * (MAX_HEADER_BYTES - 200)

    async with connected(short.consumption_url) as client:
        for _ in range(3):  # it is the length of each
            await client.send(post(b"[]", head))
            assert (await client.answer()).status == 422


async def test_endless_headers_take_no_memory(tmp_path: Path) -> None:
    with running_product(tmp_path) as product:
        before = memory_of(product.pid)
        async with AsyncExitStack() as stack:
            url = product.consumption_url
            clients = [await stack.enter_async_context(connected(url)) for _ in range(8)]
            endless = b"GET / HTTP/1.1\r\nX-Name: " + b"x" * (16 * MEBIBYTE)
            await asyncio.gather(*(client.send(endless) for client in clients))
            grown = memory_of(product.pid) - before

    assert grown < 32 * MEBIBYTE  # of the 128 that were sent


async def test_who_does_not_finish_a_request_is_cut_off(impatient: Product) -> None:
    cut_off = (answer_before_the_end(impatient, request) for request in UNFINISHED.values())
    answers = dict(zip(UNFINISHED, await within(asyncio.gather(*cut_off)), strict=True))

    for name, answer in answers.items():
        assert is_problem(answer, 408, "request-timeout"), name
    assert nothing_is_stored(impatient)


async def answer_before_the_end(product: Product, request_bytes: bytes) -> Answer:
    async with connected(product.consumption_url) as client:
        await client.send(request_bytes)
        answer = await client.answer()
        assert await client.is_closed()
    return answer


async def test_a_byte_now_and_then_does_not_buy_time(impatient: Product) -> None:
    async with connected(impatient.consumption_url) as client:
        await client.send(post(WATCH, length=100_000))
        answering = asyncio.create_task(client.answer())

        async def answered_after_one_more_byte() -> bool:
            await client.send(b" ")
            return answering.done()

        await eventually(answered_after_one_more_byte, timeout=PATIENCE)
        assert is_problem(await within(answering), 408, "request-timeout")


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
async def test_who_asks_nothing_is_let_go_silently(impatient: Product, sent: bytes) -> None:
    async with connected(impatient.consumption_url) as client:
        await client.send(sent)
        assert await client.is_closed()


async def test_an_idle_connection_is_closed_after_its_answers(impatient: Product) -> None:
    async with connected(impatient.consumption_url) as client:
        await client.send(LOOK * 3)
        assert [(await client.answer()).status for _ in range(3)] == [200] * 3
        assert await client.is_closed()


async def test_who_sends_on_after_the_refusal_of_a_body_is_cut_off(impatient: Product) -> None:
    async with connected(impatient.consumption_url) as client:
        await client.send(post_chunks(b"%x\r\n%b" % (4 * MEBIBYTE, b" " * (2 * MEBIBYTE))))
        assert (await client.answer()).status == 413
        assert await client.is_closed()

    assert nothing_is_stored(impatient)


async def test_who_does_not_take_the_answers_is_cut_off(tmp_path: Path) -> None:
    large = b"GET /watches?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with running_product(tmp_path, IMPATIENT | {"MAX_CONNECTIONS": "1"}) as product:
        watches = {"items": [json.loads(WATCH)] * 200}
        tell(f"{product.consumption_url}/watches/batch", watches).raise_for_status()
        async with AsyncExitStack() as stack:
            client = await a_connection(product, stack)
            await client.send(large * 100)  # more than the system keeps for a client who is away

            assert await eventually(lambda: is_served(product), timeout=PATIENCE)


async def test_requests_sent_far_ahead_are_not_all_kept(short: Product) -> None:
    async with connected(short.consumption_url) as client:
        sending = asyncio.create_task(client.send(LOOK * 20_000))
        answers = await answers_of(client)
        await within(sending)

    assert 100 <= len(answers) < 20_000
    assert {answer.status for answer in answers} == {200}


async def test_more_connections_than_allowed_are_asked_to_come_later(tmp_path: Path) -> None:
    with running_product(tmp_path, {"MAX_CONNECTIONS": "3"}) as product:
        async with AsyncExitStack() as stack:
            for _ in range(3):
                await a_connection(product, stack)
            async with connected(product.consumption_url) as late:
                await late.send(post(WATCH))
                answer = await late.answer()
                assert await late.is_closed()

        assert is_problem(answer, 503, "temporarily-unavailable")
        assert answer.headers["retry-after"] == "1"
        assert await eventually(lambda: is_served(product), timeout=PATIENCE)
        assert nothing_is_stored(product)


async def a_connection(product: Product, stack: AsyncExitStack) -> Client:
    """Connect, once the service has noticed who is gone; the connection lasts as the stack does."""

    async def connection() -> Client | None:
        client = await stack.enter_async_context(connected(product.consumption_url))
        await client.send(LOOK)
        return client if (await client.answer()).status == 200 else None

    client = await eventually(connection, timeout=PATIENCE)
    assert client
    return client


async def answers_of(client: Client) -> list[Answer]:
    """Return all answers until the service closes the connection."""
    answers = []
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            answers.append(await client.answer())
    return answers


def is_problem(answer: Answer, status: int, kind: str) -> bool:
    """Tell whether the answer is this problem, and the last on its connection."""
    assert (answer.status, answer.headers["content-type"]) == (status, PROBLEM)
    assert answer.headers["connection"] == "close"
    assert answer.json()["type"] == f"urn:upnext:problem:{kind}"
    return True


def is_served(product: Product) -> bool:
    """Tell whether a newcomer is."""
    return ask(f"{product.consumption_url}/health/live").is_success


def nothing_is_stored(product: Product) -> bool:
    """Tell whether the service knows no watch."""
    return bool(ask(f"{product.consumption_url}/watches").json()["items"] == [])


def memory_of(pid: int) -> int:
    """Return the bytes of memory that a process has."""
    resident = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(resident) * resource.getpagesize()
