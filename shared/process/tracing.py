"""Tracing: one trace from a request, through the outbox and the queue, to what was learned.

Off unless `OTEL_EXPORTER_OTLP_ENDPOINT` says where spans go to; then it costs a look at a variable.
An event carries its trace as W3C Trace Context does: as `traceparent`, in the outbox and in the
message. Several messages are learned in one transaction, which is a trace of its own then, and is
linked with theirs.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.errors import CannotStart

HEADER: Final = "traceparent"
OFF: Final = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}

_CONTEXTS: Final = TraceContextTextMapPropagator()
_tracer: Tracer | None = None
_provider: TracerProvider | None = None


def use(provider: TracerProvider | None) -> None:
    """Give all spans from now on to this provider; None: make none."""
    global _provider, _tracer  # noqa: PLW0603 - tracing is the process's
    _provider = provider
    _tracer = provider.get_tracer("upnext") if provider else None


def trace_to(endpoint: str | None) -> None:
    """Send all spans from now on to the collector at this address, over HTTP."""
    if endpoint is None or _provider:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http import (  # noqa: PLC0415 - an extra
            trace_exporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider as Provider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        raise CannotStart(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and tracing is not installed: "
            "pip install 'upnext[tracing]'."
        ) from None
    name = os.environ.get("OTEL_SERVICE_NAME", "upnext")
    provider = Provider(resource=Resource.create({"service.name": name}))
    exporter = trace_exporter.OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))  # emptied when the process ends
    use(provider)


def is_on() -> bool:
    """Tell whether spans are made."""
    return _provider is not None


def telemetry() -> dict[str, Any]:
    """Return how FastAPI traces requests."""
    return {**OFF, "tracing": True, "tracer_provider": _provider} if _provider else OFF


def current_traceparent() -> str | None:
    """Return where in which trace we are, to carry it on; None outside of traces."""
    return _traceparent(trace.get_current_span()) if _tracer else None


def current_trace_id() -> str | None:
    """Return which trace we are in."""
    traceparent = current_traceparent()
    return traceparent.split("-")[1] if traceparent else None


@contextmanager
def publishing(traceparents: Sequence[str | None]) -> Iterator[Sequence[str | None]]:
    """Trace that events are published; yield what each carries on, in their order."""
    if _tracer is None:
        yield traceparents
        return
    spans = [one and _begin(_tracer, "publish", SpanKind.PRODUCER, one) for one in traceparents]
    try:
        yield [_traceparent(span) if span else None for span in spans]
    finally:
        for span in spans:
            if span:
                span.end()


@contextmanager
def learning(headers: Sequence[Mapping[str, object]]) -> Iterator[None]:
    """Trace that the messages with these headers are learned in one transaction."""
    if _tracer is None:
        yield
        return
    contexts = [_context(str(one[HEADER])) for one in headers if HEADER in one]
    origins = [one for one in contexts if one]  # an empty one was no `traceparent`
    parent = origins[0] if len(headers) == len(origins) == 1 else None
    links = [] if parent else [Link(_place(one)) for one in origins]
    began = time.time_ns()
    with _tracer.start_as_current_span("learn", parent, SpanKind.CONSUMER, links=links) as span:
        span.set_attribute("messaging.batch.message_count", len(headers))
        yield
    if not parent:
        _show_in_each(_tracer, origins, span, began)


def _show_in_each(tracer: Tracer, origins: Sequence[Context], whole: Span, began: int) -> None:
    """Let the trace of each message end in a span of its own, linked with the transaction's."""
    link = Link(whole.get_span_context())
    for one in origins:
        tracer.start_span("learn", one, SpanKind.CONSUMER, None, [link], began).end()


def _begin(tracer: Tracer, name: str, kind: SpanKind, traceparent: str) -> Span:
    return tracer.start_span(name, _context(traceparent), kind)


def _context(traceparent: str) -> Context:
    """Return the context that it names; one that is no `traceparent` is an empty one."""
    return _CONTEXTS.extract({HEADER: traceparent}, Context())


def _place(context: Context) -> SpanContext:
    return trace.get_current_span(context).get_span_context()


def _traceparent(span: Span) -> str | None:
    carrier: dict[str, str] = {}
    _CONTEXTS.inject(carrier, trace.set_span_in_context(span, Context()))
    return carrier.get(HEADER)
