"""Direct: a good POST /watches goes straight to its handler.

What FastAPI does around a handler costs more than the rest of the request with its commit. So what
can be read at once is handed over at once, and everything else takes FastAPI's way, which says what
is wrong with it. The handler, its checks and its documentation are the same.
"""

from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override

from consumption_service.api import IdempotencyKey, NewWatch, State, WatchAnswer, record_watch
from shared.problems import documented
from shared.strict_json import StrictJSONRoute, parse

JSON: Final = "application/json"

_KEY: Final[TypeAdapter[str | None]] = TypeAdapter(IdempotencyKey)


class DirectRoute(StrictJSONRoute):
    """The route of `record_watch`."""

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        try:
            watch, key = _read(request, body)
        except ValueError:
            await super().handle(scope, _again(body), send)
            return
        state: State = request.app.state.consumption
        given = Response(status_code=201)
        answer = await record_watch(watch, state, scope["caller"], given, key)
        location = {"Location": given.headers["Location"]}
        response = Response(answer.model_dump_json(), given.status_code, location, JSON)
        await response(scope, receive, send)


router = APIRouter(tags=["watches"], route_class=DirectRoute)
router.post(
    "/watches",
    status_code=201,
    responses={
        200: {"model": WatchAnswer, "description": "Recorded before, under the same key"},
        **documented(400, 409, 413, 422, 503),
    },
)(record_watch)


def _read(request: Request, body: bytes) -> tuple[NewWatch, str | None]:
    if request.method != "POST" or request.headers.get("Content-Type") != JSON:
        raise ValueError
    key = _KEY.validate_python(request.headers.get("Idempotency-Key"))
    return NewWatch.model_validate(parse(body)), key


def _again(body: bytes) -> Receive:
    """Return what lets a body that was read be read again."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
