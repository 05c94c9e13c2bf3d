"""Application factory: middleware, problem documents, metrics and OpenAPI of both services."""

import asyncio
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from typing_extensions import override

from shared.access.description import describe_access
from shared.access.guard import Guard
from shared.access.middleware import AccessMiddleware
from shared.http.asyncapi import asyncapi_routes
from shared.http.body_limit import BodyLimit
from shared.http.docs_page import show_docs
from shared.http.examples import describe_examples
from shared.http.fast_path import FastPath
from shared.http.request_ids import RequestMiddleware
from shared.problems import answer_with_problems, describe_problems
from shared.process.metrics import collect_request_metrics
from shared.process.settings import SharedSettings
from shared.process.tracing import telemetry, trace_to


def create_app(settings: SharedSettings, title: str, description: str, guard: Guard) -> FastAPI:
    """Return an application without routes of its own."""
    trace_to(settings.otel_exporter_otlp_endpoint)
    app = _App(
        guard,
        title=title,
        description=description,
        generate_unique_id_function=_name_of,
        docs_url=None,  # FastAPI's pages load scripts from other hosts
        redoc_url=None,
        telemetry=telemetry(),
    )
    app.state.settings = settings
    app.state.draining = asyncio.Event()  # set when the process stops: ends streams
    show_docs(app)
    answer_with_problems(app)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(AccessMiddleware, guard=guard)
    app.include_router(asyncapi_routes())
    seconds = collect_request_metrics(app)
    # Added last, it runs first: refused requests are counted and have an id.
    app.add_middleware(RequestMiddleware, seconds=seconds)
    app.state.fast_path = FastPath(guard.admit_cached, seconds)
    return app


class _App(FastAPI):
    def __init__(self, guard: Guard, **options: Any) -> None:
        super().__init__(**options)
        self._guard = guard

    @override
    def openapi(self) -> dict[str, Any]:
        """Return the document with problems, examples and permissions, and with integer bounds.

        FastAPI writes each bound as a floating-point number, which is off by hundreds near 2^63.
        """
        if not self.openapi_schema:
            document = _with_integers(super().openapi())
            describe_problems(document)
            describe_examples(document)
            describe_access(document, self._guard.permissions, is_open=self._guard.is_open)
            self.openapi_schema = document
        return self.openapi_schema


def _with_integers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_integers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _name_of(route: APIRoute) -> str:
    """Return the operation id, the name of the method in generated clients."""
    return route.name
