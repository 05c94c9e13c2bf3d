"""Requests that nobody means: each gets a problem document, and changes nothing."""

from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest

from tests.support.http_client import ask
from tests.support.product import Product, running_product
from tests.support.raw_http import PROBLEM, connected, post, post_chunks, with_headers

WATCH: Final = b'{"user_id": 42, "lesson_id": 100, "position": 314}'
DEEP: Final = 100_000
HTTP2: Final = (
    b"Connection: Upgrade, HTTP2-Settings",
    b"Upgrade: h2c",
    b"HTTP2-Settings: AAMAAABkAAQAAP__",
)

BAD_CHUNK: Final = post_chunks(b"size\r\n" + WATCH + b"\r\n0\r\n\r\n")

NOT_HTTP: Final = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/3.7": b"GET /watches HTTP/3.7\r\nHost: localhost\r\n\r\n",
    "an unknown method": b"WATCH /watches HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a proxy's method": b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a NUL in the path": b"GET /watches/\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no ASCII in the path": b"GET /watches/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a NUL in a header": post(WATCH, b"X-Name: \0"),
    "a header without a name": post(WATCH, b": value"),
    "a space after a header's name": post(WATCH, b"X-Name : value"),
    "a folded header": post(WATCH, b"X-Name: one\r\n two"),
    "lines without a carriage return": post(WATCH).replace(b"\r\n", b"\n"),
    "a negative length": post(WATCH, length=-1),
    "a length in words": post(WATCH, length="fifty"),
    "a length with a sign": post(WATCH, length=f"+{len(WATCH)}"),
    "a length beyond counting": post(WATCH, length=10**30),
    "two lengths": post(WATCH, b"Content-Length: 10"),
    "the same length twice": post(WATCH, b"Content-Length: %d" % len(WATCH)),
    "a length and chunks": post(WATCH, b"Transfer-Encoding: chunked"),
    "chunks and a length": post(b"0\r\n\r\n" + WATCH, b"Transfer-Encoding: chunked", length=5),
    "an unknown transfer encoding": with_headers(b"Transfer-Encoding: xchunked") + WATCH,
    "chunks in chunks": with_headers(b"Transfer-Encoding: chunked, chunked") + WATCH,
    "a chunk of no size": BAD_CHUNK,
    "a chunk longer than its size": post_chunks(b"3\r\n" + WATCH + b"\r\n0\r\n\r\n"),
    "a chunk of endless size": post_chunks(b"f" * 20 + b"\r\n" + WATCH),
    "chunks with a wrong end": post_chunks(b"%x\r\n%b\r\n0\r\n\0: 1\r\n\r\n" % (len(WATCH), WATCH)),
}

NOT_JSON: Final = {
    "a length that is too short": post(WATCH, length=len(WATCH) - 1),
    "arrays without end": post(b"[" * DEEP),
    "deep arrays": post(b"[" * DEEP + b"]" * DEEP),
    "deep objects": post(b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "a deep value": post(WATCH.replace(b"42", b"[" * DEEP + b"]" * DEEP)),
    "a huge number": post(WATCH.replace(b"42", b"1" + b"0" * 5000)),
    "no number": post(WATCH.replace(b"42", b"NaN")),
    "infinity": post(WATCH.replace(b"42", b"-Infinity")),
    "no UTF-8": post(WATCH.replace(b"user_id", b"\xff")),
    "a zero in two bytes": post(WATCH.replace(b"user_id", b"\xc0\x80")),
    "a byte order mark": post(b"\xef\xbb\xbf" + WATCH),
    "UTF-16": post(WATCH.decode().encode("utf-16")),
    "UTF-32": post(WATCH.decode().encode("utf-32-le")),
    "a name twice": post(WATCH.replace(b"{", b'{"user_id": 1, ')),
    "very many names": post(b"{%b}" % b",".join(b'"%d":1' % name for name in range(70_000))),
}

NOT_MEANT: Final = {
    "a large number": post(WATCH.replace(b"42", b"1" + b"0" * 4000)),
    "a number with a large exponent": post(WATCH.replace(b"42", b"1e400")),
    "a name that is no text": post(WATCH.replace(b"{", b'{"\\ud800": 1, ')),
    "a name with a NUL": post(WATCH.replace(b"{", b'{"\\u0000": 1, ')),
    "an encoded NUL in a query": b"GET /watches?user_id=%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a huge number in a query": b"GET /watches?user_id=%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
    % (b"9" * 5000),
}


NOWHERE: Final = {
    "an encoded NUL in an id": b"GET /watches/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no UTF-8 in an id": b"GET /watches/%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Generator[Product]:
    with running_product(tmp_path_factory.mktemp("product")) as running:
        yield running


@pytest.mark.parametrize("request_bytes", NOT_HTTP.values(), ids=NOT_HTTP.keys())
async def test_what_is_not_http_is_a_problem_and_ends_the_connection(
    product: Product, request_bytes: bytes
) -> None:
    assert await problem_of(product, request_bytes, ends=True) == (400, "bad-request")
    assert everything_in(product) == []


@pytest.mark.parametrize("request_bytes", NOT_JSON.values(), ids=NOT_JSON.keys())
async def test_what_is_not_json_is_a_problem(product: Product, request_bytes: bytes) -> None:
    assert await problem_of(product, request_bytes) == (400, "malformed-json")
    assert everything_in(product) == []


@pytest.mark.parametrize("request_bytes", NOT_MEANT.values(), ids=NOT_MEANT.keys())
async def test_what_cannot_be_meant_is_a_problem(product: Product, request_bytes: bytes) -> None:
    assert await problem_of(product, request_bytes) == (422, "invalid-request")
    assert everything_in(product) == []


@pytest.mark.parametrize("request_bytes", NOWHERE.values(), ids=NOWHERE.keys())
async def test_what_is_no_id_is_not_found(product: Product, request_bytes: bytes) -> None:
    assert await problem_of(product, request_bytes) == (404, "not-found")


async def test_what_follows_a_good_request_does_not_take_its_answer(
    tmp_path: Path,
) -> None:
    with running_product(tmp_path) as product:
        async with connected(product.consumption_url) as client:
            await client.send(post(WATCH) + post(WATCH) + b"\0\0\r\n\r\n" + post(WATCH))
            answers = [await client.answer(), await client.answer()]
            assert await client.is_closed()

        assert [answer.status for answer in answers] == [201, 201]
        assert len(everything_in(product)) == 2


async def test_a_bad_request_behind_a_good_one_is_answered_in_its_turn(product: Product) -> None:
    async with connected(product.consumption_url) as client:
        await client.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n" + BAD_CHUNK)
        answers = [await client.answer(), await client.answer()]
        assert await client.is_closed()

    assert [answer.status for answer in answers] == [200, 400]


@pytest.mark.parametrize("parts", [1, 2])
async def test_a_request_that_offers_an_upgrade_keeps_its_body(tmp_path: Path, parts: int) -> None:
    """Java's own client offers HTTP/2 with its first request."""
    request = post(WATCH, *HTTP2)
    middle = len(request) - 20 if parts == 2 else len(request)
    with running_product(tmp_path) as product:
        async with connected(product.consumption_url) as client:
            await client.send(request[:middle])
            await client.send(request[middle:])
            first = await client.answer()
            await client.send(post(WATCH))
            second = await client.answer()

        assert (first.status, second.status) == (201, 201)
        assert len(everything_in(product)) == 2


async def problem_of(product: Product, request: bytes, *, ends: bool = False) -> tuple[int, str]:
    """Send the request, and return the status and the kind of its problem."""
    async with connected(product.consumption_url) as client:
        await client.send(request)
        answer = await client.answer()
        if ends:
            assert answer.headers["connection"] == "close"
            assert await client.is_closed()
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["status"] == answer.status
    return answer.status, answer.json()["type"].removeprefix("urn:upnext:problem:")


def everything_in(product: Product) -> list[object]:
    """Return the watches that are stored."""
    return list(ask(f"{product.consumption_url}/watches").json()["items"])
