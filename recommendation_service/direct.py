"""Direct: a good question for a user's recommendations goes straight to its handler.

What FastAPI does around a handler costs about as much as finding the answer. So what can be read at
once is handed over at once, and everything else takes FastAPI's way, which says what is wrong with
it. The handler, its checks and its documentation are the same.
"""

from typing import Final, get_origin

from fastapi import APIRouter, Response
from pydantic import TypeAdapter
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from recommendation_service.api import AskedForUser, recommend_for_user
from recommendation_service.opened import PathId, State
from shared.problems import documented
from shared.strict_json import StrictJSONRoute

JSON: Final = "application/json"

_USER: Final[TypeAdapter[int]] = TypeAdapter(PathId)
_LISTS: Final = {
    name
    for name, field in AskedForUser.model_fields.items()
    if get_origin(field.annotation) is list
}
_PLAIN: Final = AskedForUser()


class DirectRoute(StrictJSONRoute):
    """The route of `recommend_for_user`."""

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            user_id, asked = _read(scope)
        except ValueError:
            await super().handle(scope, receive, send)
            return
        state: State = scope["app"].state.recommendation
        answer = await recommend_for_user(user_id, asked, state)
        await Response(answer.model_dump_json(), media_type=JSON)(scope, receive, send)


router = APIRouter(tags=["recommendations"], route_class=DirectRoute)
router.get("/users/{user_id}/recommendations", responses=documented(422, 503))(recommend_for_user)


def _read(scope: Scope) -> tuple[int, AskedForUser]:
    if scope["method"] != "GET":
        raise ValueError
    user_id = _USER.validate_python(scope["path_params"]["user_id"])
    if not scope["query_string"]:
        return user_id, _PLAIN
    given = QueryParams(scope["query_string"])
    values = {name: given.getlist(name) if name in _LISTS else given[name] for name in given}
    return user_id, AskedForUser.model_validate(values)
