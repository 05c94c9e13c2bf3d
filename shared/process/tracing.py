"""Tracing: one trace from a request, through the outbox and the queue, to the model.

Off unless `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector. When off, it costs one check of a
variable. An event carries its trace as `traceparent` (W3C Trace Context), in the outbox and in the
message. A transaction that learns several messages is a trace of its own, linked with theirs.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Tracer,
    TracerProvider,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.errors import CannotStart

TRACEPARENT_HEADER: Final = "traceparent"
OFF: Final = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_tracer: Tracer | None = None
_provider: TracerProvider | None = None


def use_provider(provider: TracerProvider | None) -> None:
    """Create all spans from now on with this provider; None: create none."""
    global _provider, _tracer  # noqa: PLW0603 - tracing is the process's
    _provider = provider
    _tracer = provider.get_tracer("upnext") if provider else None


def trace_to(endpoint: str | None) -> None:
    """Export all spans from now on to the collector at this URL, over HTTP."""
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
    provider.add_span_processor(BatchSpanProcessor(exporter))  # flushed when the process ends
    use_provider(provider)


def is_tracing() -> bool:
    """Tell whether spans are created."""
    return _provider is not None


def telemetry() -> dict[str, Any]:
    """Return FastAPI's options for tracing requests."""
    return {**OFF, "tracing": True, "tracer_provider": _provider} if _provider else OFF


def current_traceparent() -> str | None:
    """Return the `traceparent` of the current span; None outside of a trace."""
    return _traceparent(trace.get_current_span()) if _tracer else None


def current_trace_id() -> str | None:
    """Return the id of the current trace."""
    traceparent = current_traceparent()
    return traceparent.split("-")[1] if traceparent else None


@contextmanager
def publishing(traceparents: Sequence[str | None]) -> Iterator[Sequence[str | None]]:
    """Trace the publishing of events; yield the `traceparent` for each message, in order."""
    if _tracer is None:
        yield traceparents
        return
    spans = [one and _start(_tracer, "publish", SpanKind.PRODUCER, one) for one in traceparents]
    try:
        yield [_traceparent(span) if span else None for span in spans]
    finally:
        for span in spans:
            if span:
                span.end()


@contextmanager
def learning(headers: Sequence[Mapping[str, object]]) -> Iterator[None]:
    """Trace the transaction that learns the messages with these headers."""
    if _tracer is None:
        yield
        return
    contexts = [
        _context(str(one[TRACEPARENT_HEADER])) for one in headers if TRACEPARENT_HEADER in one
    ]
    origins = [one for one in contexts if one]  # an empty one: the `traceparent` is malformed
    parent = origins[0] if len(headers) == len(origins) == 1 else None
    links = [] if parent else [Link(_span_context(one)) for one in origins]
    began = time.time_ns()
    with _tracer.start_as_current_span("learn", parent, SpanKind.CONSUMER, links=links) as span:
        span.set_attribute("messaging.batch.message_count", len(headers))
        yield
    if not parent:
        _end_origins(_tracer, origins, span, began)


def _end_origins(tracer: Tracer, origins: Sequence[Context], transaction: Span, began: int) -> None:
    """End the trace of each message with a span that links to the transaction's."""
    link = Link(transaction.get_span_context())
    for one in origins:
        tracer.start_span("learn", one, SpanKind.CONSUMER, None, [link], began).end()


def _start(tracer: Tracer, name: str, kind: SpanKind, traceparent: str) -> Span:
    return tracer.start_span(name, _context(traceparent), kind)


def _context(traceparent: str) -> Context:
    """Return the context of the `traceparent`; an empty one if it is malformed."""
    return _PROPAGATOR.extract({TRACEPARENT_HEADER: traceparent}, Context())


def _span_context(context: Context) -> SpanContext:
    return trace.get_current_span(context).get_span_context()


def _traceparent(span: Span) -> str | None:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, trace.set_span_in_context(span, Context()))
    return carrier.get(TRACEPARENT_HEADER)
