"""Problem documents (RFC 9457): each error as an HTTP response with a stable `type`.

The text of an unexpected exception is only in the log.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from shared.errors import ServiceError
from shared.process.logs import request_id

log = logging.getLogger(__name__)

BUG: Final = (500, "Internal error", "The service failed. The cause is in its log.")

COMMON_STATUSES: Final = (408, 431, 500, 503)  # any request may be answered with these

# Examples in the OpenAPI documents: the title of each status, and a detail.
EXAMPLES: Final = {
    400: ("Malformed JSON", "The body cannot be read as JSON: Expecting value."),
    401: ("Unauthorized", "This needs a key or a token."),
    403: ("Forbidden", "This needs the scope admin."),
    404: ("Not found", "There is no watch 019ab2c4-7a10-7cc2-8d4e-0d6a5f1f2b3c."),
    408: ("Request Timeout", "The request did not arrive in time."),
    409: ("Conflict", "This Idempotency-Key was used for another watch."),
    413: ("Content Too Large", "The body is larger than 1,000,000 bytes."),
    422: ("Invalid request", "body.position: Input should be greater than or equal to 0"),
    429: ("Too many requests", "This is more than may be asked. Try again in 1 s."),
    431: ("Request Header Fields Too Large", "The request line and the headers are too long."),
    500: BUG[1:],
    503: ("Temporarily unavailable", "The database is away."),
}


class Problem(BaseModel):
    """Why a request was not done. Nothing has been changed by it."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:upnext:problem:not-found",
                    "title": "Not found",
                    "status": 404,
                    "detail": "There is no watch 019ab2c4-7a10-7cc2-8d4e-0d6a5f1f2b3c.",
                }
            ]
        },
    )

    type: str = Field(description="Stable name of the kind of problem.")
    title: str
    status: int
    detail: str | None = None


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` for these error statuses."""
    return {status: _documented(status) for status in statuses}


def _documented(status: int) -> dict[str, Any]:
    title, detail = EXAMPLES[status]
    example = {"type": _type_of(title), "title": title, "status": status, "detail": detail}
    content = {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}, "example": example}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": content},
    }


def describe_problems(document: dict[str, Any]) -> None:
    """Add the schema of problems to an OpenAPI document, and the common ones to each operation."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.setdefault(Problem.__name__, Problem.model_json_schema())
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, answer in documented(*COMMON_STATUSES).items():
                operation["responses"].setdefault(str(status), answer)


def answer_with_problems(app: FastAPI) -> None:
    """Answer every error of the application with a problem document."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)


def problem(
    status: int,
    title: str,
    detail: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, object]] | None = None,
) -> JSONResponse:
    """Return the response for a problem; its type is derived from its title."""
    body: dict[str, object] = {
        "type": _type_of(title),
        "title": title,
        "status": status,
    }
    if detail:
        body["detail"] = detail
    if errors:
        body["errors"] = errors
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def answer_to(error: ServiceError) -> JSONResponse:
    """Return the response for an expected error."""
    return problem(error.status, error.title, str(error), headers=error.headers)


def problem_of(error: BaseException) -> Problem:
    """Return the problem that the caller sees; for a bug, no details."""
    status, title, detail = BUG
    if isinstance(error, ServiceError):
        status, title, detail = error.status, error.title, str(error)
    return Problem(type=_type_of(title), title=title, status=status, detail=detail)


def reasons(details: Sequence[Mapping[str, Any]]) -> str:
    """Return the locations and reasons of validation errors in one line."""
    return "; ".join(f"{where}: {why}" if where else why for where, why in map(_reason, details))


def _reason(detail: Mapping[str, Any]) -> tuple[str, str]:
    return ".".join(str(part) for part in detail["loc"]), detail["msg"]


def _type_of(title: str) -> str:
    return "urn:upnext:problem:" + title.lower().replace(" ", "-")


async def _service_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)  # noqa: S101 - registered for this type only
    return answer_to(error)


async def _invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
    details = error.errors()
    for detail in details:
        if detail["type"] == "json_invalid":
            reason = f"The body cannot be read as JSON: {detail['ctx']['error']}."
            return problem(400, "Malformed JSON", reason)
    errors = [{"where": where, "why": why} for where, why in map(_reason, details)]
    return problem(422, "Invalid request", reasons(details), errors=errors)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    title = HTTPStatus(error.status_code).phrase
    detail = error.detail if error.detail != title else None
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = _methods_of(request)  # none: the path is that of a page
        headers |= {"Allow": ", ".join(sorted(methods))} if methods else {}
    return problem(error.status_code, title, detail, headers=headers)


def _methods_of(request: Request) -> set[str]:
    """Return the methods of all routes with this path; the router names only the first's."""
    asked = request.url.path
    paths: dict[str, dict[str, object]] = request.app.openapi()["paths"]
    # A literal path takes precedence over a template that matches it.
    matching = (
        [asked]
        if asked in paths
        else [path for path in paths if compile_path(path)[0].match(asked)]
    )
    return {method.upper() for path in matching for method in paths[path]}


async def _bug(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(*BUG, headers={"X-Request-ID": request_id.get() or ""})
