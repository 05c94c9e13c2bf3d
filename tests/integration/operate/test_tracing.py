"""Traces: a watch's is one, from its request to its learning; and there are none by default."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Final

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typing_extensions import override

from shared.broker.interface import Message
from shared.broker.topology import RECOMMENDATION_WATCH, WATCH
from shared.process.tracing import current_traceparent, use_provider
from tests.support.eventually import eventually
from tests.support.http_client import tell
from tests.support.pair import SetUp, learned
from tests.support.product import running_product

AWAY: Final = "http://127.0.0.1:1"
REQUEST: Final = "POST /watches"
CALLER: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT: Final = f"00-{CALLER}-00f067aa0ba902b7-01"
WATCH_BODY: Final = {"user_id": 42, "lesson_id": 100, "position": 314}


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What is traced while the test runs."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    use_provider(provider)
    yield exporter
    use_provider(None)


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def trace_of(span: ReadableSpan) -> str:
    return f"{span.context.trace_id:032x}"


async def test_the_trace_of_a_watch_is_one_from_its_request_to_its_learning(
    spans: InMemorySpanExporter, set_up: SetUp
) -> None:
    async with set_up.both() as pair:
        headers = {"traceparent": TRACEPARENT}
        await pair.consumption.post("/watches", json=WATCH_BODY, headers=headers)
        await learned(pair.recommendation, 1)
        await eventually(lambda: named(spans, "publish") and named(spans, "learn"))

    request, publish, learn = (named(spans, name)[0] for name in (REQUEST, "publish", "learn"))
    assert {trace_of(span) for span in (request, publish, learn)} == {CALLER}
    assert publish.parent
    assert publish.parent.span_id == request.context.span_id
    assert learn.parent
    assert learn.parent.span_id == publish.context.span_id


async def test_a_batch_is_a_trace_that_is_linked_with_those_of_its_watches(
    spans: InMemorySpanExporter, embedded: SetUp
) -> None:
    callers = [f"{number:032x}" for number in (1, 2, 3)]
    messages = [
        Message(
            message_id=caller,
            routing_key="created",
            body=b'{"user_id": 42, "lesson_id": 100, "position": 314}',
            headers={"traceparent": f"00-{caller}-00f067aa0ba902b7-01"},
        )
        for caller in callers
    ]
    async with (
        embedded.broker.subscription(RECOMMENDATION_WATCH, 1),
        embedded.broker.publisher(WATCH),
    ):
        pass  # the queue is there before the service, so that it finds all of them at once
    async with embedded.broker.publisher(WATCH) as publisher:
        async with embedded.recommendation() as recommendation:
            await publisher.publish(messages)
            await learned(recommendation, 3)
        await eventually(lambda: len(named(spans, "learn")) == 4)

    [whole] = [span for span in named(spans, "learn") if trace_of(span) not in callers]
    parts = [span for span in named(spans, "learn") if span is not whole]
    assert {trace_of(span) for span in parts} == set(callers)
    assert {f"{link.context.trace_id:032x}" for link in whole.links} == set(callers)
    assert {link.context.span_id for part in parts for link in part.links} == {
        whole.context.span_id
    }


async def test_an_event_that_waits_in_the_outbox_keeps_its_trace(
    spans: InMemorySpanExporter, embedded: SetUp
) -> None:
    async with embedded.consumption() as consumption:
        await consumption.post("/watches", json=WATCH_BODY)
        [request] = named(spans, REQUEST)
    # Memory is lost with the service; what comes after it knows the outbox alone.
    async with embedded.recommendation() as recommendation, embedded.consumption():
        await learned(recommendation, 1)
        await eventually(lambda: named(spans, "learn"))

    assert trace_of(named(spans, "learn")[0]) == trace_of(request)


@pytest.mark.parametrize("traceparent", ["", "00-nonsense", "x" * 5000])
async def test_a_message_with_a_strange_trace_is_learned_all_the_same(
    spans: InMemorySpanExporter, embedded: SetUp, traceparent: str
) -> None:
    body = b'{"user_id": 42, "lesson_id": 100, "position": 314}'
    headers = {"traceparent": traceparent}
    message = Message(message_id="1", routing_key="created", body=body, headers=headers)
    async with embedded.recommendation() as recommendation:
        async with embedded.broker.publisher(WATCH) as publisher:
            await publisher.publish([message])
        await learned(recommendation, 1)

    assert len(named(spans, "learn")) == 1


async def test_nothing_is_traced_unless_asked_for(embedded: SetUp) -> None:
    async with embedded.both() as pair:
        headers = {"traceparent": TRACEPARENT}
        await pair.consumption.post("/watches", json=WATCH_BODY, headers=headers)
        await learned(pair.recommendation, 1)

    assert current_traceparent() is None


def test_spans_are_sent_to_the_collector_that_is_set(tmp_path: Path) -> None:
    with collector() as (url, received):
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
        with running_product(tmp_path, settings) as product:
            tell(f"{product.consumption_url}/watches", WATCH_BODY).raise_for_status()
        # What ends in good order sends what it has.
        sent = b"".join(received)

    assert REQUEST.encode() in sent
    assert b"upnext" in sent


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A collector of traces, as far as it goes: where it is, and what it was sent."""
    received: list[bytes] = []

    class Collecting(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        @override
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collecting) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join(100)


def test_a_collector_that_is_away_does_not_keep_the_product_from_working(tmp_path: Path) -> None:
    with running_product(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": AWAY}) as product:
        url = f"{product.consumption_url}/watches"
        assert tell(url, WATCH_BODY).status_code == 201
