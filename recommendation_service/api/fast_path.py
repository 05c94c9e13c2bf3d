"""Fast path: a valid `GET /users/{user_id}/recommendations` goes straight to its handler.

Any other request goes through the application, which reports errors in it. The handler
is the same.
"""

import asyncio
import re
from typing import Final, get_origin

from pydantic import TypeAdapter
from starlette.datastructures import QueryParams
from starlette.types import Scope
from typing_extensions import override

from recommendation_service.api.dependencies import AppState
from recommendation_service.api.parameters import PathId
from recommendation_service.api.recommendations import UserListParameters, recommend_for_user
from recommendation_service.api.schemas import Recommendations
from shared.access.caller import Caller
from shared.http.fast_path import Answer, FastPathHandler

HEADERS: Final = b"content-type: application/json\r\n"

_USER: Final[TypeAdapter[int]] = TypeAdapter(PathId)
_LISTS: Final = {
    name
    for name, field in UserListParameters.model_fields.items()
    if get_origin(field.annotation) is list
}
_DEFAULTS: Final = UserListParameters()

UserRequest = tuple[int, UserListParameters]


class RecommendHandler(FastPathHandler[UserRequest, Recommendations]):
    """Handles `GET /users/{user_id}/recommendations`."""

    line = re.compile(rb"GET /users/[0-9]{1,19}/recommendations(\?.*)?")
    path = "/users/{user_id}/recommendations"

    def __init__(self, state: AppState) -> None:
        self._state = state

    @override
    def parse(self, scope: Scope, body: bytes) -> UserRequest | None:
        """Return the user and the parameters, or None when the request is not valid."""
        try:
            user_id = _USER.validate_python(scope["path"].split("/")[2])
            return None if body else (user_id, _parameters(scope["query_string"]))
        except ValueError:
            return None

    @override
    def start(
        self,
        asked: UserRequest,
        caller: Caller,
    ) -> asyncio.Future[Recommendations]:
        """Start the handler."""
        return asyncio.ensure_future(recommend_for_user(*asked, self._state))

    @override
    def respond(self, outcome: Recommendations) -> Answer:
        """Return the recommendations as JSON."""
        return Answer(200, HEADERS, outcome.__pydantic_serializer__.to_json(outcome))


def _parameters(query: bytes) -> UserListParameters:
    """Return the parameters of the query, parsed as FastAPI does it, or raise `ValueError`."""
    if not query:
        return _DEFAULTS
    given = QueryParams(query)
    values = {name: given.getlist(name) if name in _LISTS else given[name] for name in given}
    return UserListParameters.model_validate(values)
