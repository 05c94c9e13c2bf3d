"""What both HTTP applications have: a gate, problems, a body limit, metrics, a description."""

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
        docs_url=None,  # these would load from elsewhere
        redoc_url=None,
        telemetry=telemetry(),
    )
    app.state.settings = settings
    app.state.draining = asyncio.Event()  # set when the process is to end: streams end then
    show_docs(app)
    answer_with_problems(app)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(AccessMiddleware, guard=guard)
    app.include_router(asyncapi_routes())
    seconds = collect_request_metrics(app)
    # Around the gate, so that what it refuses is counted and logged.
    app.add_middleware(RequestMiddleware, seconds=seconds)
    app.state.fast_path = FastPath(guard.admit_known, seconds)
    return app


class _App(FastAPI):
    def __init__(self, guard: Guard, **options: Any) -> None:
        super().__init__(**options)
        self._guard = guard

    @override
    def openapi(self) -> dict[str, Any]:
        """Return the description, with what each operation needs, and whole numbers as such.

        FastAPI writes each bound as a floating-point number, which is off by hundreds near 2^63.
        """
        if not self.openapi_schema:
            document = _with_whole_numbers(super().openapi())
            describe_problems(document)
            describe_examples(document)
            describe_access(document, self._guard.permissions, is_open=self._guard.is_open)
            self.openapi_schema = document
        return self.openapi_schema


def _with_whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _name_of(route: APIRoute) -> str:
    """Return the operation's id: a generated client has a method of this name."""
    return route.name
