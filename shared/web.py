"""What both HTTP applications have: problems, a body limit, metrics, an exact description."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from typing_extensions import override

from shared.body_limit import BodyLimit
from shared.metrics import measure
from shared.problems import answer_with_problems
from shared.requests import Observed
from shared.settings import SharedSettings


def create_app(settings: SharedSettings, title: str, description: str) -> FastAPI:
    """Return an application without routes of its own."""
    app = _App(title=title, description=description, generate_unique_id_function=_name_of)
    app.state.settings = settings
    answer_with_problems(app)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(Observed, seconds=measure(app))
    return app


class _App(FastAPI):
    @override
    def openapi(self) -> dict[str, Any]:
        """Return the description, with whole numbers where it means whole numbers.

        FastAPI writes each bound as a floating-point number, which is off by hundreds near 2^63.
        """
        if not self.openapi_schema:
            self.openapi_schema = _with_whole_numbers(super().openapi())
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
